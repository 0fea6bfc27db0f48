"""`python -m benchmarks [WHAT]`: prints a table, and writes it as JSON with what it came from."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track as progress
from rich.table import Table
from threadpoolctl import threadpool_limits

from benchmarks import (
    download,
    end_to_end,
    engine,
    features,
    file,
    gate,
    goals,
    link,
    lit,
    load,
    memory,
    old_way,
    overhead,
    replaced,
    report,
    stages,
    start,
)
from benchmarks.media import CONTAINERS, track
from serve.inference.session import load_model
from serve.settings import Settings

_SECONDS = {"30 s": 30.0, "3 min": 180.0, "10 min": 600.0}
_QUICK_SECONDS = {"30 s": 30.0, "3 min": 180.0}
_RUNS, _QUICK_RUNS = 5, 3
# Enough for a 99th percentile; a run is all variants and sizes once.
_GPU_RUNS = 200
#: What is measured beside its goal. TensorFlow comes last: it keeps threads and memory.
COMPARISONS: dict[str, Callable[..., Iterator[goals.Result]]] = {
    "file": file.measure,
    "features": features.measure,
    "overhead": overhead.measure,
    "link": link.measure,
    "memory": memory.measure,
    "load": load.measure,
    "litserve": lit.measure,
    "start": start.measure,
    "replaced": replaced.measure,
    "old-way": old_way.measure,
}
# What a quick look takes of them: some 2 minutes in all.
_QUICK: dict[str, dict[str, Any]] = {
    "file": {"runs": 5, "seconds": 180.0},
    "features": {"runs": 5},
    "overhead": {"runs": 10, "load_s": 2.0},
    "link": {"runs": 3, "tails": {180.0: 60.0}},
    "start": {"runs": 3},
}


def main() -> int:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(prog="benchmarks")
    parser.add_argument("--runs", type=int, help="times each thing is measured")
    parser.add_argument("--out", type=Path, default=Path("runs/bench"), help="folder for the JSON")
    choices = ("all", "quick", "engine", "gpu", "gate", "goals", *COMPARISONS)
    parser.add_argument(
        "what",
        nargs="?",
        choices=choices,
        default="all",
        help="all: every stage; goals: all that comes after it, beside what is to be reached; "
        "quick: a little of both; gate: ratios that always hold",
    )
    asked = parser.parse_args()
    settings = Settings.from_environment()
    if asked.what == "engine":
        return engine.main(settings, asked.runs or _RUNS)
    if asked.what == "gpu":
        from benchmarks import gpu

        return gpu.main(settings.model, max(asked.runs or 0, _GPU_RUNS), asked.out)
    console = Console()
    if asked.what == "gate":
        return _gate(asked.runs, console)
    found = Found(console)
    if asked.what == "all":
        _stages(settings, asked.runs or _RUNS, found)
    elif asked.what == "quick":
        _stages(settings, asked.runs or _QUICK_RUNS, found, _QUICK_SECONDS)
        quick = {name: of for name, of in _QUICK.items() if name in COMPARISONS}
        _goals({name: of | _runs(asked.runs) for name, of in quick.items()}, found)
    else:
        names = tuple(COMPARISONS) if asked.what == "goals" else (asked.what,)
        _goals({name: _runs(asked.runs) for name in names}, found)
    path = report.write(asked.out, asked.what, settings.model, **found.to_dict())
    console.print(f"written to {path}, with a page beside it")
    if failed := [result.name for result in found.results if result.failed]:
        console.print(f"[red]failed:[/red] {', '.join(failed)}", highlight=False)
    return 1 if failed else 0


def _runs(runs: int | None) -> dict[str, Any]:
    return {"runs": runs} if runs else {}


def _gate(runs: int | None, console: Console) -> int:
    results = [*gate.measure(**_runs(runs))]
    console.print(goals.table(results))
    return 0 if all(result.met for result in results) else 1


@dataclass(slots=True)
class Found:
    """What was measured so far, printed as it comes."""

    console: Console
    timings: list[stages.Timing] = field(default_factory=list)
    results: list[goals.Result] = field(default_factory=list)

    def add(self, results: Sequence[goals.Result]) -> None:
        """Print and keep the results of a comparison."""
        self.console.print(goals.table(results))
        self.results += results

    def time(self, name: str, timings: Callable[[], Iterable[stages.Timing]]) -> None:
        """Print and keep timings; one that breaks off is a failed result."""
        begun = len(self.timings)
        try:
            self.timings += timings()
        except Exception as error:
            self.add([goals.Result.failure(name, error)])
        table = Table("track", "stage", "median ms", "slowest ms")
        for of in self.timings[begun:]:
            table.add_row(of.track, of.stage, f"{of.median_ms:.1f}", f"{of.slowest_ms:.1f}")
        self.console.print(table)

    def to_dict(self) -> dict[str, object]:
        """As plain values, without what was not asked for."""
        timings = [asdict(timing) for timing in self.timings]
        results = [result.to_dict() for result in self.results]
        return {name: of for name, of in (("timings", timings), ("results", results)) if of}


def _goals(options: Mapping[str, dict[str, Any]], found: Found) -> None:
    """Make these comparisons, each with its own options; one that fails is a result, too."""
    for name in progress([*options], "goals", console=found.console):
        results: list[goals.Result] = []
        try:
            results += COMPARISONS[name](**options[name])
        except Exception as error:
            results.append(goals.Result.failure(name, error))
        found.add(results)


def _stages(
    settings: Settings, runs: int, found: Found, lengths: Mapping[str, float] = _SECONDS
) -> None:
    model = load_model(settings.model, "cpu", settings.inference_threads)
    media = {
        f"{length} {container}": (track(seconds, container), seconds + 1)
        for length, seconds in lengths.items()
        for container in CONTAINERS
    }
    for name, (content, seconds) in progress(media.items(), "stages", console=found.console):
        with threadpool_limits(1):  # as in a decoder process: one thread of BLAS
            found.time(name, partial(stages.measure, model, name, content, seconds, runs))
    files = {name: content for name, (content, _) in media.items()}
    found.time("file to answer", lambda: end_to_end.measure(files, runs))
    if lengths is _SECONDS:
        links = {
            name: (content, _SECONDS[name.rpartition(" ")[0]])
            for name, (content, _) in media.items()
            if not name.startswith("30 s")
        }
        found.time("links", lambda: download.measure(links, runs))


if __name__ == "__main__":
    # Ended as by Ctrl-C, so that the servers end, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
