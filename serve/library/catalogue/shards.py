"""The Parquet files of a catalogue, and the plan that they belong to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from serve.errors import ERRORS, BadRequest, Internal
from serve.library.catalogue.manifest import Manifest
from serve.library.catalogue.places import Place

# Readers of a folder of Parquet files ignore names that begin like this.
_PLAN = "_catalogue.json"
# Failures of a network, a storage or this machine, rather than of the track.
_NOT_THE_TRACKS = [code for code, of in ERRORS.items() if of.retryable or of is Internal]


@dataclass(frozen=True, slots=True)
class Plan:
    """The model and manifest of a catalogue, and the number of tracks in a shard."""

    model: str
    """sha256 of the model file"""
    manifest: str
    """digest of its tracks"""
    tracks: int
    shard_tracks: int

    @property
    def shards(self) -> int:
        """The number of shards."""
        return -(-self.tracks // self.shard_tracks)

    def tracks_of(self, shard: int) -> range:
        """The numbers of a shard's tracks."""
        start = shard * self.shard_tracks
        return range(start, min(start + self.shard_tracks, self.tracks))


class Shards:
    """The Parquet files of a catalogue in a folder, each complete or absent."""

    def __init__(self, out: Place, plan: Plan) -> None:
        self.out = out
        self.plan = plan

    @classmethod
    def of(cls, out: Place, model: str, manifest: Manifest, shard_tracks: int) -> Shards:
        """The shards in a folder, which is created if missing.

        Raises BadRequest where it holds a catalogue by another model or of another manifest.
        """
        plan = Plan(model, manifest.digest, len(manifest), shard_tracks)
        out.tidy()
        try:
            if _PLAN not in (names := out.names()):
                if any(map(_is_shard, names)):
                    raise BadRequest(f"{out.name}: It holds shards, but no {_PLAN}.")
                (out / _PLAN).write(json.dumps(asdict(plan), indent=2).encode() + b"\n")
            # Read again: of two that begin at once with different plans, one was later.
            found = Plan(**json.loads((out / _PLAN).read()))
        except (OSError, ValueError, TypeError) as error:
            raise BadRequest(f"{out.name}: {error}") from None
        _check(out, found, plan)
        return cls(out, found)

    def missing(self, shards: Sequence[int]) -> list[int]:
        """Those of the given shards that have no file."""
        there = set(self.out.names())
        return [shard for shard in shards if self._name(shard) not in there]

    def interrupted(self, shards: Sequence[int]) -> Iterator[int]:
        """Those with a track that failed through no fault of its own, as in an outage."""
        for shard in shards:
            place = self.out / self._name(shard)
            with place.system.open_input_file(place.path) as file:
                codes = pq.ParquetFile(file).read(["code"]).column("code")
            if pc.any(pc.is_in(codes, pa.array(_NOT_THE_TRACKS))).as_py():
                yield shard

    def write(self, shard: int, table: pa.Table) -> None:
        """Write or replace a shard's file. Raises OSError."""
        plan = json.dumps(asdict(self.plan)).encode()
        sink = pa.BufferOutputStream()
        pq.write_table(table.replace_schema_metadata({b"topgenre": plan}), sink, compression="zstd")
        (self.out / self._name(shard)).write(sink.getvalue().to_pybytes())

    def _name(self, shard: int) -> str:
        return f"part-{shard:06}-of-{self.plan.shards:06}.parquet"


def _is_shard(name: str) -> bool:
    return name.startswith("part-") and name.endswith(".parquet")


def _check(out: Place, found: Plan, plan: Plan) -> None:
    for what, differs in (
        ("model", found.model != plan.model),
        ("manifest", found.manifest != plan.manifest),
    ):
        if differs:
            raise BadRequest(
                f"{out.name}: It holds a catalogue of another {what}; choose another folder."
            )
