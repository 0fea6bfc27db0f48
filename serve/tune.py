"""`tune`: measures how the model runs fastest on this machine, and saves that for the server."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from serve.container import cores
from serve.devices import Provider
from serve.inference.measure import median_ms, seconds
from serve.inference.providers import PROVIDERS
from serve.inference.providers.base import DeviceError
from serve.inference.runner import Runner, runner_for
from serve.inference.session import LoadedModel
from serve.inference.tuning import Tuning, load
from serve.settings import Settings

_ROUNDS = 15
# Clips in one call: a single clip, and tracks of 30 seconds, 3 minutes and 10 minutes.
_TRACKS = (1, 22, 129, 428)
# A gain of less than 5 % does not justify more threads, larger batches or other kinds of calls.
_NEGLIGIBLE = 1.05

Choice = TypeVar("Choice")


def tune(settings: Settings, rounds: int = _ROUNDS) -> int:
    """Measure, print a table, and write the file that `settings.tuning` names."""
    console = Console()
    if os.getloadavg()[0] > cores() / 2:
        console.print("This machine is busy with other work: the measurements may mislead.")
    model = load(settings)
    with Progress(console=console, transient=True) as bars:
        bar = bars.add_task("measuring", total=2 * (rounds + 1))
        table, tuning = _measure(settings, model, rounds, lambda: bars.advance(bar))
    console.print(table)
    tuning.write(settings.tuning)
    console.print(
        f"{model.provider}: {tuning.inference_threads} threads, calls {tuning.gpu_calls}, tracks "
        f"share a call up to {tuning.batch_clips} clips; written to {settings.tuning}"
    )
    return 0


def choose(costs: Mapping[Choice, float]) -> Choice:
    """The first choice, in the given order, that costs at most 5 % more than the best."""
    best = min(costs.values())
    return next(choice for choice, cost in costs.items() if cost <= _NEGLIGIBLE * best)


def _measure(
    settings: Settings, model: LoadedModel, rounds: int, on_round: Callable[[], None]
) -> tuple[Table, Tuning]:
    provider = model.provider
    table = Table(
        "", "clips", "median ms", "fastest ms", "µs a clip", title=f"a call on {provider}"
    )
    with _runners(settings, provider) as runners:
        ways = seconds(
            {(way, n): _call(runner, n) for way, (_, runner) in runners.items() for n in _TRACKS},
            rounds,
            on_round,
        )
        _rows(table, ways)
        # Compare the fastest calls, because other work on the machine only slows a call down. The
        # geometric mean gives all track lengths the same weight.
        best = choose(
            {way: statistics.geometric_mean(min(ways[way, n]) for n in _TRACKS) for way in runners}
        )
        chosen, runner = runners[best]
        batches = seconds(
            {n: _call(runner, n) for n in PROVIDERS[provider].tried_clips}, rounds, on_round
        )
        _rows(table, {("batches", n): times for n, times in batches.items()})
    return table, Tuning(
        sha256=model.sha256,
        provider=provider,
        cores=cores(),
        inference_threads=chosen.inference_threads,
        batch_clips=choose({n: min(times) / n for n, times in batches.items()}),
        gpu_calls=chosen.gpu_calls,
    )


@contextmanager
def _runners(
    settings: Settings, provider: Provider
) -> Iterator[dict[str, tuple[Settings, Runner]]]:
    """A warm runner for each way to run the model, the simplest first, and its settings."""
    of = PROVIDERS[provider]
    ways: dict[str, dict[str, Any]] = {calls: {"gpu_calls": calls} for calls in of.calls}
    if of.loops:
        ways = {f"{n} threads": {"inference_threads": n} for n in _thread_counts(cores())}
    runners: dict[str, tuple[Settings, Runner]] = {}
    try:
        for way, update in ways.items():
            candidate = settings.model_copy(update=update)
            try:
                runner = runner_for(load(candidate), of.tried_clips[-1], candidate.gpu_calls)
            except DeviceError as error:  # unavailable here, such as pinned memory
                Console(stderr=True).print(f"{way}: {error}")
                continue
            runners[way] = candidate, runner
            runner.warm()
        yield runners
    finally:
        for _, runner in runners.values():
            runner.close()


def _thread_counts(most: int) -> list[int]:
    return sorted({2**n for n in range(most.bit_length())} | {most})


def _call(runner: Runner, clips: int) -> Callable[[], object]:
    mel = np.random.default_rng(clips).random((clips, *runner.clip_shape), np.float32)
    return lambda: runner.run(runner.batch([(mel, clips)]))


def _rows(table: Table, taken: Mapping[tuple[str, int], list[float]]) -> None:
    for (what, clips), times in taken.items():
        ms = 1000 * min(times)
        table.add_row(
            what, str(clips), f"{median_ms(times):.2f}", f"{ms:.2f}", f"{1000 * ms / clips:.0f}"
        )
    table.add_section()
