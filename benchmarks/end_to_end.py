"""A track through a running pipeline: from its first byte in to its answer."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator

from benchmarks.stages import Timing
from serve.pipeline import Pipeline
from serve.settings import Settings
from serve.sources.stream import SourceInfo
from serve.sources.upload import UploadSource

_BLOCK = 1 << 16


def measure(settings: Settings, tracks: dict[str, bytes], runs: int) -> list[Timing]:
    """Time each track alone, with decoders and model warm."""
    return asyncio.run(_measure(settings, tracks, runs))


async def _measure(settings: Settings, tracks: dict[str, bytes], runs: int) -> list[Timing]:
    timings = []
    async with Pipeline.from_settings(settings) as pipeline:
        for name, content in tracks.items():
            taken = []
            for _ in range(runs + 1):
                source = UploadSource(SourceInfo(name), _blocks(content), len(content))
                start = time.perf_counter()
                await pipeline.classify(source)
                taken.append(1000 * (time.perf_counter() - start))
            timings.append(
                Timing(
                    "file to answer", name, round(statistics.median(taken[1:]), 3), max(taken[1:])
                )
            )
    return timings


async def _blocks(content: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(content), _BLOCK):
        yield content[at : at + _BLOCK]
