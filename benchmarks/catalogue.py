"""The processor time of a track in `catalogue`, beside `classify` with the same files."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import count
from pathlib import Path

from benchmarks.goals import Result, children_s
from benchmarks.media import track


def measure(runs: int = 3, *, seconds: float = 180.0, tracks: int = 16) -> Iterator[Result]:
    """All of both commands, in turns; and of the catalogue what a track adds to its start."""
    if not find_spec("pyarrow"):
        yield Result(
            "the catalogue, of classify", None, note="pyarrow (extra: catalogue) is missing"
        )
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "one").mkdir()
        (folder / "all").mkdir()
        for n in range(tracks):
            (folder / "all" / f"{n}.m4a").write_bytes(_another(n, seconds))
        (folder / "one" / "0.m4a").write_bytes(_another(0, seconds))
        taken: dict[str, list[float]] = {"catalogue s": [], "classify s": []}
        each = []
        outs = map("out{}".format, count())
        for _ in range(runs):
            start = _processor_s("catalogue", folder / "one", folder / next(outs))
            whole = _processor_s("catalogue", folder / "all", folder / next(outs))
            taken["catalogue s"].append(whole)
            taken["classify s"].append(_processor_s("classify", folder / "all"))
            each.append((whole - start) / (tracks - 1))
    yield Result.ratio("the catalogue, of classify", taken, 1.05)
    yield Result.median(f"a track of {seconds:.0f} s in a catalogue", each, None, unit="s")


def _another(number: int, seconds: float) -> bytes:
    # `classify` decodes copies once: each has a box of its own that players pass over.
    return track(seconds, "m4a") + b"\0\0\0\x0cfree" + number.to_bytes(4, "big")


def _processor_s(*arguments: object) -> float:
    """The processor time of a command and of the processes that it starts."""
    before = children_s()
    command = [sys.executable, "-m", "serve", *map(str, arguments)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return children_s() - before
