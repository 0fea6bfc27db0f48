"""Many tracks at once: what several clients gain, what memory does, what waiting comes to."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator

from benchmarks.clients import Loop, Request, closed_loop, paced_s
from benchmarks.goals import Result, quantile_ms
from benchmarks.media import files, track
from benchmarks.servers import Server, topgenre
from benchmarks.straight import OnAllCores
from serve.container import cores

_CLIENTS = 8
_SHARE = 0.8
_SHORT_S = 10.0
# Tracks of which each client of a closed loop has so many on average.
_EACH = 3


def measure(
    runs: int = 3, *, seconds: float = 180.0, tracks: int = 500, block: int = 50, arriving: int = 60
) -> Iterator[Result]:
    """Clients with tracks of so many seconds, and `tracks` short ones, memory after each block."""
    request = Request.raw(track(seconds, "m4a"))
    # Arrivals at random bunch up: they wait, and are not refused.
    with (
        topgenre(max_requests=64, queue_size=64) as server,
        OnAllCores(seconds + 1) as work,
        files(seconds) as paths,
    ):
        work.predict(paths["m4a"])
        closed_loop(server.port, request, _CLIENTS, _CLIENTS)  # warms up
        loops: dict[int, list[Loop]] = {_CLIENTS: [], 1: []}
        cores_per_s = []
        for _ in range(runs):
            for clients, done in loops.items():
                done.append(closed_loop(server.port, request, clients, clients * _EACH))
            start = time.perf_counter()
            work.predict(paths["m4a"], _EACH)
            cores_per_s.append(_EACH * cores() / (time.perf_counter() - start))
        rates = {clients: [loop.per_s for loop in done] for clients, done in loops.items()}
        of = {f"{_CLIENTS} clients/s": rates[_CLIENTS], "1/s": rates[1]}
        yield Result.ratio(f"{_CLIENTS} clients' tracks/s, of one's", of, None, at_least=True)
        yield _of_the_cores(rates[_CLIENTS], cores_per_s)
        for clients, done in loops.items():
            taken_s = [s for loop in done for s in loop.taken_s]
            name = f"closed loop, {clients} client{'s' * (clients > 1)}: p95"
            yield Result.latency(name, taken_s)
        yield from _waiting(server, request, _SHARE * statistics.median(rates[_CLIENTS]), arriving)
        yield _memory(server, tracks, block)


def _of_the_cores(rates: list[float], cores_per_s: list[float]) -> Result:
    """What is left of the cores, had they nothing to do but the work on the tracks itself."""
    of = {"clients/s": rates, "cores/s": cores_per_s}
    name = f"{_CLIENTS} clients' tracks/s, of what the cores can do"
    return Result.ratio(name, of, 0.95, at_least=True)


def _waiting(server: Server, request: Request, rate: float, arriving: int) -> Iterator[Result]:
    draw = random.Random(0)  # noqa: S311
    taken_s = paced_s(server.port, request, [draw.expovariate(rate) for _ in range(arriving)])
    yield Result.latency(f"open loop, {_SHARE:.0%} load: p95", taken_s)
    of = {name: [quantile_ms(taken_s, q)] for name, q in (("p95 ms", 0.95), ("p50 ms", 0.5))}
    yield Result.ratio(f"p95 at {_SHARE:.0%} load, of p50", of, 3.0)


def _memory(server: Server, tracks: int, block: int) -> Result:
    request = Request.raw(track(_SHORT_S, "m4a"))
    resident_mb = []
    for _ in range(0, tracks, block):
        closed_loop(server.port, request, _CLIENTS, block)
        resident_mb.append(server.resident_bytes() / 1e6)
    first, most = resident_mb[0], max(resident_mb)
    return Result(
        f"memory gained over {tracks} tracks, after the first {block}",
        round(100 * (most / first - 1), 2),
        5.0,
        unit="%",
        of={"most MB": round(most, 1), "first MB": round(first, 1)},
    )
