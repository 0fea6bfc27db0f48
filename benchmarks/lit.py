"""Several clients beside the same model behind LitServe."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from benchmarks.clients import Request, closed_loop
from benchmarks.goals import Result
from benchmarks.media import track
from benchmarks.servers import free_port, running, topgenre


def measure(
    runs: int = 3,
    *,
    seconds: float = 180.0,
    clients: tuple[int, ...] = (1, 4, 8, 16),
    least: int = 8,
) -> Iterator[Result]:
    """Our tracks per second over LitServe's, at each number of clients.

    A run is a track for each client, and `least` tracks in all.
    """
    request = Request.form(track(seconds, "m4a"))
    port = free_port()
    command = (sys.executable, "-m", "benchmarks.lit_server", str(port))
    with topgenre() as ours, running(command, port, "/health", {}) as theirs:
        # LitServe's processes look for work all the time.
        with theirs.paused():
            closed_loop(ours.port, request, max(clients), max(clients))
        closed_loop(theirs.port, request, max(clients), max(clients))
        for number in clients:
            tracks = max(number, least)
            taken: dict[str, list[float]] = {"ours/s": [], "LitServe/s": []}
            for _ in range(runs):
                with theirs.paused():
                    loop = closed_loop(ours.port, request, number, tracks)
                taken["ours/s"].append(loop.per_s)
                loop = closed_loop(theirs.port, request, number, tracks)
                taken["LitServe/s"].append(loop.per_s)
            name = f"{number} client{'s' * (number > 1)}: tracks/s, of LitServe's"
            yield Result.ratio(name, taken, 1.3, at_least=True)
