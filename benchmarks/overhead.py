"""What HTTP and the server around a track cost, without the work on the track itself."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

import numpy as np

from benchmarks.clients import Client, Request, arrivals
from benchmarks.goals import Result
from benchmarks.media import track
from benchmarks.servers import topgenre

_RATE = 50
# What a track's time is made of; bytes come in while it is decoded.
_STAGES = ("decode", "mel", "queue", "inference", "aggregate")
# Refused without any work on audio, after the whole way through routing and the body.
_REFUSED = Request(b'{"url": "https://vimeo.com/1"}', "application/json")


def measure(runs: int = 20, *, seconds: float = 30.0, load_s: float = 5.0) -> Iterator[Result]:
    """A short track's time less that of its stages, and the server's own time under load."""
    request = Request.raw(track(seconds, "m4a"))
    with topgenre() as server, Client(server.port) as client:
        rest = []
        for _ in range(runs + 1):
            start = time.perf_counter()
            timings = client.post(request)["timings_ms"]
            took_ms = 1000 * (time.perf_counter() - start)
            rest.append(took_ms - sum(timings[stage] for stage in _STAGES))
        own = []
        for start in arrivals([1 / _RATE] * round(load_s * _RATE)):
            client.post(_REFUSED, 400)
            own.append(1000 * (time.perf_counter() - start))
    yield _ms(f"{seconds:g} s of m4a: total less its stages", statistics.median(rest[1:]), 3.0)
    yield _ms(f"POST that is refused, {_RATE}/s: p50", statistics.median(own), 1.0)
    yield _ms(f"POST that is refused, {_RATE}/s: p99", float(np.quantile(own, 0.99)), 5.0)
    yield Result("POST of a cached answer", None, note="answers are not cached yet")


def _ms(name: str, measured: float, goal: float) -> Result:
    return Result(name, round(measured, 3), goal, unit="ms")
