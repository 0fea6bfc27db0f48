"""Many tracks at once: what several clients gain, what memory does, what waiting comes to."""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterator

import numpy as np

from benchmarks.clients import Request, paced_s, tracks_per_s
from benchmarks.goals import Result
from benchmarks.media import track
from benchmarks.servers import Server, topgenre

_CLIENTS = 8
_SHARE = 0.8
_SHORT_S = 10.0
# Tracks of which each client of a closed loop has so many on average.
_EACH = 3


def measure(
    runs: int = 5, *, seconds: float = 180.0, tracks: int = 500, block: int = 50, arriving: int = 60
) -> Iterator[Result]:
    """Clients with tracks of so many seconds, and `tracks` short ones, memory after each block."""
    request = Request.raw(track(seconds, "m4a"))
    # Arrivals at random bunch up: they wait, and are not refused.
    with topgenre(max_requests=64, queue_size=64) as server:
        tracks_per_s(server.port, request, _CLIENTS, _CLIENTS)  # warms up
        one, many = [], []
        for _ in range(runs):
            one.append(tracks_per_s(server.port, request, 1, _EACH))
            many.append(tracks_per_s(server.port, request, _CLIENTS, _CLIENTS * _EACH))
        of = {f"{_CLIENTS} clients/s": statistics.median(many), "1/s": statistics.median(one)}
        yield Result.ratio(f"{_CLIENTS} clients' tracks/s, of one's", of, 1.7, at_least=True)
        yield _waiting(server, request, _SHARE * statistics.median(many), arriving)
        yield _memory(server, tracks, block)


def _waiting(server: Server, request: Request, rate: float, arriving: int) -> Result:
    draw = random.Random(0)  # noqa: S311
    taken = paced_s(server.port, request, [draw.expovariate(rate) for _ in range(arriving)])
    p95, p50 = (1000 * float(np.quantile(taken, q)) for q in (0.95, 0.5))
    return Result.ratio(f"p95 at {_SHARE:.0%} load, of p50", {"p95 ms": p95, "p50 ms": p50}, 3.0)


def _memory(server: Server, tracks: int, block: int) -> Result:
    request = Request.raw(track(_SHORT_S, "m4a"))
    resident_mb = []
    for _ in range(0, tracks, block):
        tracks_per_s(server.port, request, _CLIENTS, block)
        resident_mb.append(server.resident_bytes() / 1e6)
    first, most = resident_mb[0], max(resident_mb)
    return Result(
        f"memory gained over {tracks} tracks, after the first {block}",
        round(100 * (most / first - 1), 2),
        5.0,
        unit="%",
        of={"most MB": round(most, 1), "first MB": round(first, 1)},
    )
