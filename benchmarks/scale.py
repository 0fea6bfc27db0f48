"""Replicas: what a second one adds, and what a balancer and a shared Redis cost each request."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.clients import Client, Request, closed_loop
from benchmarks.download import CLIENTS, LINK, standin
from benchmarks.goals import Result, quantile_ms
from benchmarks.media import track
from benchmarks.servers import Server, free_port, running, topgenre
from serve.answer import Answer, OnProgress, Progress
from serve.container import cores
from serve.metrics import Metrics
from serve.paths import ROOT
from serve.replicas import Alone, Replicas

_REPLICAS = "two replicas of a core each, of one"
_BALANCED = "an answer that is known, through HAProxy, above direct: p50"
_LEASE = "a job with a lease in Redis, above one without: p50"
# Of each replica: one track arrives while another is worked on.
_CLIENTS = 2
_SHORT_S = 10.0
_APART_S = 0.01


def measure(
    runs: int = 5, *, seconds: float = 180.0, each: int = 4, asks: int = 500
) -> Iterator[Result]:
    """Tracks of so many seconds, `each` for a client of a replica; `asks` of what is known."""
    if cores() < 2:
        yield Result(_REPLICAS, None, 1.8, at_least=True, note="needs two cores")
    else:
        yield _replicas(runs, seconds, each)
    yield _of(_BALANCED, 0.4, "haproxy", lambda program: _balanced(program, asks))
    yield _of(_LEASE, 1.0, "redis-server", lambda _: asyncio.run(_lease(asks)))


def _replicas(runs: int, seconds: float, each: int) -> Result:
    """The best of alternating windows: whatever else goes on here can only take away."""
    request = Request.raw(track(seconds, "m4a"))
    one, two = sorted(os.sched_getaffinity(0))[:2]

    def rate(*servers: Server) -> float:
        start = time.perf_counter()
        with ThreadPoolExecutor(len(servers)) as loops:
            count = _CLIENTS * each
            for loop in [
                loops.submit(closed_loop, server.port, request, _CLIENTS, count)
                for server in servers
            ]:
                loop.result()
        return len(servers) * count / (time.perf_counter() - start)

    with ExitStack() as stack:
        with _pinned(one):
            first = stack.enter_context(topgenre())
        with _pinned(two):
            second = stack.enter_context(topgenre())
        rate(first, second)  # warms up
        alone, both = [], []
        for _ in range(runs):
            both.append(rate(first, second))
            with second.paused():
                alone.append(rate(first))
    of = {"two/s": round(max(both), 3), "one/s": round(max(alone), 3)}
    measured = round(of["two/s"] / of["one/s"], 3)
    return Result(_REPLICAS, measured, 1.8, at_least=True, of=of)


@contextmanager
def _pinned(core: int) -> Iterator[None]:
    """What is started meanwhile has this core alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _balanced(program: str, asks: int) -> dict[str, float]:
    link = Request(json.dumps({"url": LINK}).encode(), "application/json")
    with (
        standin({"m4a": (track(_SHORT_S, "m4a"), _SHORT_S)}) as (events, environment),
        topgenre(environment, cache="memory", youtube_clients=CLIENTS) as server,
    ):
        events.send("m4a")
        port, backend = free_port(), f"127.0.0.1:{server.port}"
        servers = {"BIND": f"127.0.0.1:{port}", "SERVER_A": backend, "SERVER_B": backend}
        command = (program, "-f", str(ROOT / "deploy" / "haproxy" / "haproxy.cfg"))
        with (
            running(command, port, "/health/ready", servers),
            Client(port) as balanced,
            Client(server.port) as direct,
        ):
            for client in (balanced, direct):
                client.post(link)
            taken_s = _alternately({"HAProxy ms": balanced, "direct ms": direct}, link, asks)
    return {name: quantile_ms(of, 0.5) for name, of in taken_s.items()}


def _alternately(clients: dict[str, Client], link: Request, asks: int) -> dict[str, list[float]]:
    taken_s: dict[str, list[float]] = {name: [] for name in clients}
    for _ in range(asks):
        for name, client in clients.items():
            start = time.perf_counter()
            client.post(link)
            taken_s[name].append(time.perf_counter() - start)
    return taken_s


async def _lease(asks: int) -> dict[str, float]:
    from serve.replicas.together import Together  # needs the extra `redis`
    from tests.answers import answer
    from tests.redis_process import redis_process

    known, metrics = answer(), Metrics()

    async def work(on_progress: OnProgress) -> Answer:
        on_progress(Progress("found", None))
        return known

    def ignore(_: Progress) -> None: ...

    with tempfile.TemporaryDirectory() as folder, redis_process(Path(folder)) as redis:
        ways: dict[str, Replicas] = {"shared ms": Together(redis.url, metrics), "alone ms": Alone()}
        taken_s: dict[str, list[float]] = {name: [] for name in ways}
        for n in range(asks):
            for name, way in ways.items():
                start = time.perf_counter()
                await way.once(f"{n}", work, ignore)
                taken_s[name].append(time.perf_counter() - start)
            await asyncio.sleep(_APART_S)  # what others are told meanwhile is nobody's wait
        for way in ways.values():
            await way.close()
    if b"topgenre_alone_total 0.0" not in metrics.render():
        raise ConnectionError("Redis did not answer each time")
    return {name: quantile_ms(of, 0.5) for name, of in taken_s.items()}


def _of(
    name: str, goal: float, program: str, taken_ms: Callable[[str], dict[str, float]]
) -> Result:
    """What the first way takes above the second; nothing where the program is not installed."""
    found = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        return Result(name, None, goal, unit="ms", note=f"needs {program}: apt-get install it")
    of = {key: round(ms, 3) for key, ms in taken_ms(found).items()}
    over, under = of.values()
    return Result(name, round(over - under, 3), goal, unit="ms", of=of)
