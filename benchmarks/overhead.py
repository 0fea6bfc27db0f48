"""What HTTP and the server around a track cost, without the work on the track itself."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator

from benchmarks.clients import Client, Request, arrivals
from benchmarks.download import CLIENTS, LINK, standin
from benchmarks.goals import Result, noise, quantile_ms
from benchmarks.media import track
from benchmarks.servers import topgenre

_RATE = 50
# What a track's time is made of; bytes come in while it is decoded.
_STAGES = ("decode", "mel", "queue", "inference", "aggregate")
_PERCENTILES = {"p50": (0.5, 1.0), "p99": (0.99, 5.0)}


def measure(runs: int = 20, *, seconds: float = 30.0, load_s: float = 5.0) -> Iterator[Result]:
    """A short track's time less that of its stages, and answers that are known, under load."""
    file = Request.raw(track(seconds, "m4a"))
    with topgenre() as server, Client(server.port) as client:
        rest = []
        for _ in range(runs + 1):
            start = time.perf_counter()
            timings = client.post(file)["timings_ms"]
            took_ms = 1000 * (time.perf_counter() - start)
            rest.append(took_ms - sum(timings[stage] for stage in _STAGES))
    yield Result.median(f"{seconds:g} s of m4a: total less its stages", rest[1:], 3.0)
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
            for what, request in (("link", link), ("file", file)):
                client.post(request)
                yield from _known(what, client, request, round(load_s * _RATE))


def _known(what: str, client: Client, request: Request, requests: int) -> Iterator[Result]:
    taken_s = []
    for start in arrivals([1 / _RATE] * requests):
        answer = client.post(request)
        taken_s.append(time.perf_counter() - start)
        if not answer["cached"]:
            raise RuntimeError(f"the answer to a {what} that was asked for before is not known")
    for percentile, (quantile, goal) in _PERCENTILES.items():
        yield Result(
            f"POST of a {what} that is known, {_RATE}/s: {percentile}",
            round(quantile_ms(taken_s, quantile), 3),
            goal,
            unit="ms",
            noise=noise(taken_s),
        )
