"""`python -m benchmarks engine`: many submitters on one engine, without HTTP or decoding."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from serve.inference.engine import Engine
from serve.inference.outputs import Float32
from serve.inference.providers import PROVIDERS
from serve.inference.runner import Runner, runner_for
from serve.inference.tuning import tuned
from serve.settings import Settings

# Clips of tracks of a few seconds to 10 minutes, most of about 3.
_LENGTHS = (2, 10, 21, 21, 43, 64, 86, 107, 129, 129, 129, 150, 171, 214, 300, 428)
_SHORT = 21
_ROUND = 100


@dataclass(frozen=True, slots=True)
class Load:
    """What a number of tracks came to, over rounds of a hundred.

    `of_bare` is the tracks per second of the engine over those of the bare calls in a loop.
    `growth` is what resident memory gained after the first round, as a share.
    """

    tracks_per_s: float
    of_bare: float
    short_wait_ms: float
    long_wait_ms: float
    megabytes: float
    growth: float


def main(settings: Settings, rounds: int, submitters: int = 8) -> int:
    """Measure with the settings that the server would have, and print a table."""
    settings, model = tuned(settings)
    share = settings.batch_clips or PROVIDERS[model.provider].shared_clips
    runner = runner_for(model, max(share, *_LENGTHS), settings.gpu_calls)
    load = asyncio.run(measure(runner, share, rounds, submitters))
    table = Table("tracks/s", "of bare calls", "wait to 30 s", "wait above", "memory", "growth")
    table.add_row(
        f"{load.tracks_per_s:.1f}",
        f"{load.of_bare:.2f}",
        f"{load.short_wait_ms:.1f} ms",
        f"{load.long_wait_ms:.1f} ms",
        f"{load.megabytes:.0f} MB",
        f"{load.growth:.1%}",
    )
    Console().print(table)
    return 0


async def measure(runner: Runner, share: int, rounds: int, submitters: int) -> Load:
    """Have so many submitters hand in tracks of varied lengths, each one after the other."""
    rng = np.random.default_rng(0)
    arrays = [
        rng.random((max(_LENGTHS), *runner.clip_shape), np.float32) for _ in range(submitters)
    ]
    draw = random.Random(1)  # noqa: S311
    process = psutil.Process()
    waits: dict[bool, list[float]] = {True: [], False: []}
    taken_s: list[float] = []
    bare_s: list[float] = []
    memory: list[int] = []
    engine = Engine(runner, queue_size=submitters, share=share)

    async def submit(mel: Float32, lengths: Iterator[int]) -> None:
        for clips in lengths:
            prediction = await engine.predict(mel, clips)
            waits[clips <= _SHORT].append(prediction.waited_s)

    await asyncio.to_thread(engine.start)
    try:
        for _ in range(rounds):
            lengths = draw.choices(_LENGTHS, k=_ROUND)
            waiting = iter(lengths)
            start = time.perf_counter()
            await asyncio.gather(*(submit(mel, waiting) for mel in arrays))
            taken_s.append(time.perf_counter() - start)
            memory.append(process.memory_info().rss)
            start = time.perf_counter()
            for clips in lengths:
                runner.run(runner.batch([(arrays[0], clips)]))
            bare_s.append(time.perf_counter() - start)
    finally:
        await asyncio.to_thread(engine.stop)
    return Load(
        _ROUND / statistics.median(taken_s),
        statistics.median(bare / taken for bare, taken in zip(bare_s, taken_s, strict=True)),
        1000 * statistics.median(waits[True]),
        1000 * statistics.median(waits[False]),
        memory[-1] / 1e6,
        memory[-1] / memory[0] - 1,
    )
