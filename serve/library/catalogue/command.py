"""`catalogue`: a library of any size to Parquet."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass
from functools import partial

from rich.console import Console
from rich.text import Text

from serve.errors import TopgenreError
from serve.library.catalogue.bar import Bar
from serve.library.catalogue.engines import engine_for
from serve.library.catalogue.manifest import read_manifest
from serve.library.catalogue.places import Place
from serve.library.catalogue.shards import Shards
from serve.library.run import report
from serve.settings import Settings
from serve.signals import signalled, until_signalled
from serve.text import one_line


@dataclass(frozen=True, slots=True)
class Asked:
    """The arguments of `catalogue`.

    `part` is the number, from 0, of the `parts` that the shards are dealt out to; `again` asks for
    shards that an outage left failures in. `on` and `address` say which engine does the work.
    """

    manifest: str
    out: str
    shard_tracks: int
    part: int = 0
    parts: int = 1
    again: bool = False
    on: str | None = None
    address: str | None = None

    def shards_of(self, shards: Shards) -> list[int]:
        """The shards of this part that are still missing."""
        mine = range(self.part, shards.plan.shards, self.parts)
        todo = shards.missing(mine)
        if self.again:
            todo += shards.interrupted(sorted(set(mine).difference(todo)))
        return sorted(todo)


def catalogue(settings: Settings, asked: Asked) -> int:
    """Classify what is missing of a catalogue; the exit code is 0 when all of it is there.

    A track that fails is a row with its error. Ctrl-C and SIGTERM leave the shards that are whole.
    Raises ModelFileError or DeviceError.
    """
    err = Console(highlight=False, stderr=True, soft_wrap=True)
    try:
        manifest = read_manifest(asked.manifest)
        engine = engine_for(settings, asked.on, asked.address)
        shards = Shards.of(Place.of(asked.out), engine.model, manifest, asked.shard_tracks)
        todo = asked.shards_of(shards)
        tracks = sum(len(shards.plan.tracks_of(shard)) for shard in todo)
        with Bar(err, tracks) as bar:
            work = partial(engine.run, manifest, shards, todo, bar)
            code = asyncio.run(until_signalled(work)) if todo else 0
        missing = len(shards.missing(range(shards.plan.shards)))
        there = f"{shards.plan.shards - missing} of {shards.plan.shards} shards are there"
        err.print(Text(one_line(f"{bar.summary}; {there}: {asked.out}")))
        return code
    except KeyboardInterrupt:
        return signalled(signal.SIGINT)
    except (TopgenreError, OSError) as error:
        return report(error)
