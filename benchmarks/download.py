"""A link, from the request to the first media byte asked for, and from the last one to the answer.

YouTube is the tests' stand-in, in a process of its own, its audio paced like a fast network; the
servers are processes, too: one that keeps yt-dlp loaded, one that starts each downloader anew.
"""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from multiprocessing.connection import Connection

from benchmarks.servers import Server, topgenre
from benchmarks.stages import Timing
from tests.eventually import until

_BYTES_PER_S = 40e6 / 8
_BLOCK = 16 << 10
_START_S = 60.0
_ID = "AAAAAAAAAAA"
#: the link to a stand-in's video
LINK = f"https://youtu.be/{_ID}"
#: how a server is told to ask the stand-in, which answers one kind of client
CLIENTS = "visionos"
#: stages of a link
FIRST_EVENT, FIRST_BYTE = "request to first event", "request to first media byte"
TAIL = "last media byte to answer"
#: the two ways to start a downloader
PRELOADED, ANEW = "preloaded", "started anew"
_ITAGS = {"m4a": 140, "webm": 251}
_SERVERS = {PRELOADED: True, ANEW: False}


def measure(tracks: dict[str, tuple[bytes, float]], runs: int) -> list[Timing]:
    """Time links to these tracks (name: file, seconds), alternating between the two servers."""
    return [
        Timing.of(f"{stage}, {way}", name, taken)
        for (stage, way, name), taken in taken_ms(tracks, runs).items()
    ]


def taken_ms(
    tracks: dict[str, tuple[bytes, float]], runs: int
) -> dict[tuple[str, str, str], list[float]]:
    """The milliseconds by stage, way (`PRELOADED` or `ANEW`) and name of the track."""
    taken: dict[tuple[str, str, str], list[float]] = {}
    with (
        standin(tracks) as (events, environment),
        _server(environment, True) as preloaded,
        _server(environment, False) as anew,
    ):
        servers = dict(zip(_SERVERS, (preloaded, anew), strict=True))
        for name in tracks:
            events.send(name)
            for run in range(runs + 1):
                for way, server in servers.items():
                    for stage, ms in _ask(server, events):
                        if run:  # the first warms up
                            taken.setdefault((stage, way, name), []).append(ms)
    return taken


def _ask(server: Server, events: Connection) -> Iterator[tuple[str, float]]:
    """One request; its stages and their milliseconds, and those of CPU it took in the server."""
    before = server.processor_s()
    connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
    start = time.perf_counter()
    connection.request(
        "POST",
        "/predict",
        json.dumps({"url": LINK}),
        {"Content-Type": "application/json", "Accept": "text/event-stream"},
    )
    response = connection.getresponse()
    assert response.readline() == b"event: progress\n"
    progress = time.perf_counter()
    body = response.read()
    end = time.perf_counter()
    connection.close()
    assert b"event: result\n" in body, body
    asked, sent = events.recv()
    yield FIRST_EVENT, 1000 * (progress - start)
    yield FIRST_BYTE, 1000 * (asked - start)
    yield TAIL, 1000 * (end - sent)
    yield "CPU of a link", 1000 * (server.processor_s() - before)


@contextmanager
def _server(environment: dict[str, str], preload: bool) -> Iterator[Server]:
    """A server that asks the stand-in, ready to download."""
    with topgenre(environment, youtube_clients=CLIENTS, youtube_preload=preload) as server:
        if preload:
            until(lambda: _gauge(server.port, "topgenre_youtube_preloaded"), _START_S)
        yield server


def _gauge(port: int, name: str) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    return next(int(float(line.split()[1])) for line in lines if line.startswith(f"{name} "))


@contextmanager
def standin(
    tracks: dict[str, tuple[bytes, float]],
) -> Iterator[tuple[Connection, dict[str, str]]]:
    """What the stand-in says of its audio, and the environment in which it is YouTube.

    It is to be sent the name of the track that LINK is, each time it changes.
    """
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_youtube, args=(theirs, tracks))
    process.start()
    theirs.close()  # so that its end is noticed
    try:
        yield ours, ours.recv()
    finally:
        with suppress(OSError):  # it has ended by itself
            ours.send(None)
        process.join(10)
        process.kill()
        process.join()
        ours.close()


def _youtube(events: Connection, tracks: dict[str, tuple[bytes, float]]) -> None:
    """Be YouTube: serve the track that is asked for last, and say when its audio was."""
    from tests.standin import Handler, StandIn, Video

    def paced(handler: Handler, media: bytes, start: int, end: int) -> bool:
        began = time.perf_counter()
        handler.audio_head(start, end, len(media))
        for at in range(start, end + 1, _BLOCK):
            part = media[at : min(at + _BLOCK, end + 1)]
            due = began + (at - start + len(part)) / _BYTES_PER_S
            time.sleep(max(0.0, due - time.perf_counter()))
            handler.send(part)
        events.send((began, time.perf_counter()))
        return True

    with StandIn() as youtube:
        events.send(youtube.env())
        while (name := events.recv()) is not None:
            media, seconds = tracks[name]
            itag = _ITAGS[name.rpartition(" ")[2]]
            youtube.add(Video(_ID, {itag: media}, length=round(seconds), fault=paced))
