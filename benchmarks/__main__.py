"""`python -m benchmarks [WHAT]`: prints tables, and writes them as JSON with what they came from.

A comparison that fails is a row that says why; the others go on, all is written, and the exit code
is 1.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track as progress
from rich.table import Table
from threadpoolctl import threadpool_limits

from benchmarks import (
    catalogue,
    download,
    end_to_end,
    engine,
    features,
    file,
    gate,
    goals,
    gpu,
    link,
    lit,
    load,
    memory,
    old_way,
    overhead,
    processor,
    replaced,
    report,
    scale,
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
    "processor": processor.measure,
    "features": features.measure,
    "overhead": overhead.measure,
    "link": link.measure,
    "memory": memory.measure,
    "load": load.measure,
    "catalogue": catalogue.measure,
    "litserve": lit.measure,
    "start": start.measure,
    "replaced": replaced.measure,
    "scale": scale.measure,
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
        return gpu.main(settings.model, max(asked.runs or 0, _GPU_RUNS), asked.out)
    console = Console()
    console.print(f"BLAS: {', '.join(report.blas()) or 'unknown'}", highlight=False)
    if asked.what == "gate":
        return _gate(asked.runs, console)
    if asked.what == "all":
        content = _stages(settings, asked.runs or _RUNS, console)
    elif asked.what == "quick":
        content = _quick(settings, asked.runs, console)
    else:
        names = tuple(COMPARISONS) if asked.what == "goals" else (asked.what,)
        content = _goals({name: _runs(asked.runs) for name in names}, console)
    path = report.write(asked.out, asked.what, settings.model, **content)
    console.print(f"written to {path}, with a page beside it")
    failed = [result["name"] for result in content.get("results", ()) if result["failed"]]
    if failed:
        console.print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def _runs(runs: int | None) -> dict[str, Any]:
    return {"runs": runs} if runs else {}


def _gate(runs: int | None, console: Console) -> int:
    results = goals.attempted("gate", lambda: gate.measure(**_runs(runs)))
    console.print(goals.table(results))
    return 0 if all(result.met for result in results) else 1


def _goals(options: Mapping[str, dict[str, Any]], console: Console) -> dict[str, Any]:
    """Make these comparisons, each with its own options; print each as soon as it is made."""
    results: list[goals.Result] = []
    for name in progress([*options], "goals", console=console):
        start = time.perf_counter()
        made = goals.attempted(name, lambda name=name: COMPARISONS[name](**options[name]))  # type: ignore[misc]
        console.print(goals.table(made))
        console.print(f"{name} took {time.perf_counter() - start:.0f} s", highlight=False)
        results += made
    return {"results": [result.to_dict() for result in results]}


def _quick(settings: Settings, runs: int | None, console: Console) -> dict[str, Any]:
    options = {name: some | _runs(runs) for name, some in _QUICK.items() if name in COMPARISONS}
    content = _stages(settings, runs or _QUICK_RUNS, console, _QUICK_SECONDS)
    made = _goals(options, console)
    return content | made | {"results": content["results"] + made["results"]}


def _stages(
    settings: Settings,
    runs: int,
    console: Console,
    lengths: Mapping[str, float] = _SECONDS,
) -> dict[str, Any]:
    """Time the stages; what can't be measured of them is a result that says so."""
    model = load_model(settings.model, "cpu", settings.inference_threads)
    media = {
        f"{length} {container}": (track(seconds, container), seconds + 1)
        for length, seconds in lengths.items()
        for container in CONTAINERS
    }
    links = {
        name: (content, _SECONDS[name.rpartition(" ")[0]])
        for name, (content, _) in media.items()
        if lengths is _SECONDS and not name.startswith("30 s")
    }

    def alone() -> Iterator[stages.Timing]:
        for name, (content, seconds) in progress(media.items(), "stages", console=console):
            with threadpool_limits(1):  # as in a decoder process: one thread of BLAS
                yield from stages.measure(model, name, content, seconds, runs)

    ways: dict[str, Callable[[], Iterable[stages.Timing]]] = {
        "stages": alone,
        "file to answer": lambda: end_to_end.measure(
            {name: content for name, (content, _) in media.items()}, runs
        ),
        "links": lambda: download.measure(links, runs) if links else (),
    }
    timings: list[stages.Timing] = []
    failed: list[goals.Result] = []
    for way, measure in ways.items():
        made: list[stages.Timing] = []
        if reason := goals.taken(measure, made):
            failed.append(goals.Result.failure(way, reason))
        if made:
            console.print(_table(made))
        timings += made
    if failed:
        console.print(goals.table(failed))
    return {
        "timings": [asdict(timing) for timing in timings],
        "results": [result.to_dict() for result in failed],
    }


def _table(timings: Iterable[stages.Timing]) -> Table:
    table = Table("track", "stage", "median ms", "slowest ms")
    for timing in timings:
        table.add_row(
            timing.track, timing.stage, f"{timing.median_ms:.1f}", f"{timing.slowest_ms:.1f}"
        )
    return table


if __name__ == "__main__":
    # Ended as by Ctrl-C, so that the servers end, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
