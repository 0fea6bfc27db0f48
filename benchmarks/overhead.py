"""What HTTP and the server around a track cost, without the work on the track itself."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle

from benchmarks.clients import Client, Request, arrivals
from benchmarks.download import CLIENTS, LINK, standin
from benchmarks.goals import Result, noise, quantile_ms
from benchmarks.media import track
from benchmarks.servers import Server, free_port, running, topgenre

_RATE = 50
# What a track's time is made of; bytes come in while it is decoded.
_STAGES = ("decode", "mel", "queue", "inference", "aggregate")
_PERCENTILES = {"p50": (0.5, 1.0), "p99": (0.99, 5.0)}


def measure(runs: int = 20, *, seconds: float = 30.0, load_s: float = 5.0) -> Iterator[Result]:
    """A short track's time less that of its stages, and answers that are known, under load."""
    file = Request.raw(track(seconds, "m4a"))
    with topgenre() as server, Client(server.port) as client:
        inside, outside = [], []
        for _ in range(runs + 1):
            start = time.perf_counter()
            timings = client.post(file)["timings_ms"]
            took_ms = 1000 * (time.perf_counter() - start)
            stages_ms = sum(timings[stage] for stage in _STAGES)
            inside.append(timings["total"] - stages_ms)
            outside.append(took_ms - stages_ms)
    what = f"{seconds:g} s of m4a: total less its stages"
    yield Result.median(what, inside[1:], 3.0)
    yield Result.median(f"{what}, as the client sees it", outside[1:], None)
    link = Request(json.dumps({"url": LINK}).encode(), "application/json")
    name = "a track m4a"
    with (
        tempfile.TemporaryDirectory() as folder,
        standin({name: (track(seconds, "m4a"), seconds)}) as (events, environment),
    ):
        events.send(name)
        with (
            topgenre(environment, cache=folder, youtube_clients=CLIENTS) as server,
            Client(server.port) as client,
        ):
            size = len(json.dumps(client.post(link)))
            with bare(size) as beside, Client(beside.port) as bare_client:
                for what, request in (("link", link), ("file", file)):
                    client.post(request)
                    yield from _known(what, client, bare_client, request, round(load_s * _RATE))


@contextmanager
def bare(size: int) -> Iterator[Server]:
    """A server whose one route answers that many bytes at once."""
    port = free_port()
    command = (sys.executable, "-m", "benchmarks.bare_server", str(port), str(size))
    with running(command, port, "/predict", {}) as server:
        yield server


def _known(
    what: str, client: Client, bare_client: Client, request: Request, requests: int
) -> Iterator[Result]:
    ours_s: list[float] = []
    bare_s: list[float] = []
    turns = cycle(((client, ours_s), (bare_client, bare_s)))
    # Each at the rate, half a period after the other.
    for start in arrivals([0.5 / _RATE] * 2 * requests):
        asked, taken_s = next(turns)
        answer = asked.post(request)
        taken_s.append(time.perf_counter() - start)
        if not answer["cached"]:
            raise RuntimeError(f"the answer to a {what} that was asked for before is not known")
    for percentile, (quantile, goal) in _PERCENTILES.items():
        ours_ms, bare_ms = (round(quantile_ms(of, quantile), 3) for of in (ours_s, bare_s))
        yield Result(
            f"POST of a {what} that is known, {_RATE}/s: {percentile}",
            ours_ms,
            goal,
            unit="ms",
            of={"ours ms": ours_ms, "a bare route ms": bare_ms},
            noise=noise(ours_s),
        )
