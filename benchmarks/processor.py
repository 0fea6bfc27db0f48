"""The processor time of a track in a server, beside what cannot be done without."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks import ffmpeg
from benchmarks.clients import Request, post
from benchmarks.goals import Result, children_s
from benchmarks.media import files
from benchmarks.servers import Server, topgenre
from serve.inference.session import load_model
from serve.pipeline import front_end_of
from serve.settings import Settings


def measure(runs: int = 10, *, seconds: float = 180.0) -> Iterator[Result]:
    """All processes' time for a file over that of ffmpeg's decoding and one call of the model."""
    model = load_model(Settings.from_environment().model, "cpu", 1)
    front_end = front_end_of(model)
    mel = np.ones((round(seconds / front_end.clip_s), *model.clip_shape), np.float32)
    with topgenre() as server, files(seconds) as paths:
        for container, path in paths.items():
            taken = _taken(server, path, front_end.sample_rate, lambda: model.run(mel), runs)
            yield Result.ratio(
                f"{seconds:g} s of {container}: processor time, of decoding and model", taken, 1.3
            )


def _taken(
    server: Server, path: Path, sample_rate: int, run: Callable[[], object], runs: int
) -> dict[str, list[float]]:
    request = Request.raw(path.read_bytes())
    taken: dict[str, list[float]] = {"ours ms": [], "decoding and model ms": []}
    for warm in range(runs + 1):
        ours_s = _spent_s(server.processor_s, lambda: post(server.port, request))
        decoding_s = _spent_s(children_s, lambda: ffmpeg.decode(path, sample_rate))
        model_s = _spent_s(time.process_time, run)
        if warm:
            taken["ours ms"].append(1000 * ours_s)
            taken["decoding and model ms"].append(1000 * (decoding_s + model_s))
    return taken


def _spent_s(clock: Callable[[], float], call: Callable[[], object]) -> float:
    start = clock()
    call()
    return clock() - start
