"""A file from its upload to its answer, and the part of it that is HTTP's."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from benchmarks.clients import Client, Request
from benchmarks.servers import topgenre
from benchmarks.stages import Timing


def measure(tracks: Mapping[str, bytes], runs: int) -> Iterator[Timing]:
    """Time each track alone, with decoders and model warm.

    `HTTP` is what passes outside the track's own way through the server: the request's head and
    the answer, not the bytes, which come in while they are decoded.
    """
    with topgenre(youtube_preload=False) as server, Client(server.port) as client:
        for name, content in tracks.items():
            request = Request.raw(content)
            answered, http = [], []
            for _ in range(runs + 1):
                start = time.perf_counter()
                answer = client.post(request)
                answered.append(1000 * (time.perf_counter() - start))
                http.append(answered[-1] - answer["timings_ms"]["total"])
            yield Timing.of("file to answer", name, answered[1:])
            yield Timing.of("HTTP", name, http[1:])
