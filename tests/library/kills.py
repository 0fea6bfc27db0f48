"""A catalogue that is killed again and again: `python -m tests.library.kills FOLDER`.

Prints an account of what is there in the end, beside what `classify` says of the same files, and
exits with 1 where they differ. The tests do the same to a few files.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.parquet as pq

from tests.eventually import until

ROOT = Path(__file__).parents[2]
# What an answer and a row have in common.
_SHARED = ("results", "music", "tags", "timeline", "duration_s", "clip_s", "code", "error")

Row = dict[str, Any]


def command(*arguments: object, name: str = "catalogue") -> list[str]:
    return [sys.executable, "-m", "serve", name, *map(str, arguments)]


def rows(out: Path, columns: list[str] | None = None) -> list[Row]:
    found: list[Row] = pq.read_table(out, columns=columns).to_pylist()
    return found


def interrupted(
    working: Sequence[str], out: Path, signals: Iterable[int], most: int, chance: random.Random
) -> Iterator[int]:
    """Begin anew for each of the signals, and send it when 1 to `most` more shards are there.

    Gives the exit codes. Each shard that is there has then been read.
    """
    for number in signals:
        wanted = _shards(out) + chance.randint(1, most)
        process = subprocess.Popen(working, cwd=ROOT, stderr=subprocess.DEVNULL)
        until(partial(_holds, out, wanted), within_s=600)
        process.send_signal(number)
        yield process.wait(30)
        for path in out.glob("part-*"):
            rows(path, ["id"])


def _shards(out: Path) -> int:
    return len(list(out.glob("part-*")))


def _holds(out: Path, shards: int) -> bool:
    return _shards(out) >= shards


def others(found: Iterable[Row], records: Iterable[Row]) -> Iterator[tuple[Row, Row]]:
    """Rows and the records of `classify` of the same tracks, of those that differ."""
    by_path = {row["path"]: row for row in found}
    for record in records:
        row = by_path[record["track"]]
        same = all(row[key] == _value(record, key) for key in _SHARED)
        if not same or row["digest"] != record.get("id"):
            yield row, record


def _value(record: Row, key: str) -> object:
    value = record.get(key)
    return dict(sorted(value.items())) if key == "results" and value else value


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--shard-tracks", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    chance = random.Random(asked.seed)
    with TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        working = command(asked.folder, out, "--shard-tracks", asked.shard_tracks)
        said = subprocess.run(
            command("--json", asked.folder, name="classify"), cwd=ROOT, stdout=subprocess.PIPE
        ).stdout.splitlines()
        most = max(1, len(said) // asked.shard_tracks // (asked.kills + 1))
        for code in interrupted(working, out, asked.kills * [signal.SIGKILL], most, chance):
            print(f"killed ({code}) with {_shards(out)} shards there", flush=True)
        subprocess.run(working, cwd=ROOT, check=True)
        found = rows(out)
        unique = len({row["id"] for row in found})
        failed = sum(row["code"] is not None for row in found)
        differ = len(list(others(found, map(json.loads, said))))
        print(f"{len(found)} rows, {unique} unique, {failed} errors, {len(said)} of classify's,")
        print(f"{differ} differ")
        return int(not len(found) == unique == len(said) or differ > 0)


if __name__ == "__main__":
    sys.exit(main())
