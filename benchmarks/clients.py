"""Requests to a server on this machine, one by one, from several clients, or as they fall due."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import httptools

_TIMEOUT_S = 120.0
_READ_BYTES = 1 << 18
_BOUNDARY = "a-boundary-that-no-audio-holds"
# Requests of an open loop that may be under way at once.
_MOST = 64


@dataclass(frozen=True)
class Request:
    """A POST to /predict."""

    body: bytes
    content_type: str

    @cached_property
    def wire(self) -> bytes:
        """What goes over the wire."""
        head = (
            "POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Content-Type: {self.content_type}\r\nContent-Length: {len(self.body)}\r\n\r\n"
        )
        return head.encode() + self.body

    @classmethod
    def raw(cls, content: bytes) -> Request:
        """A file as the body."""
        return cls(content, "application/octet-stream")

    @classmethod
    def form(cls, content: bytes) -> Request:
        """A file in a form, which every server reads."""
        head = (
            f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="track"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        body = head.encode() + content + f"\r\n--{_BOUNDARY}--\r\n".encode()
        return cls(body, f"multipart/form-data; boundary={_BOUNDARY}")


class Client:
    """One connection to a server, kept from request to request.

    It does no more than is needed: Python's own client takes longer than a server that knows the
    answer, and would be what is measured.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), _TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def post(self, request: Request, status: int = 200) -> Any:
        """The answer's JSON; raise RuntimeError where its status is another."""
        self._socket.sendall(request.wire)
        answer = _Answer()
        parser = httptools.HttpResponseParser(answer)
        while not answer.complete:
            if not (read := self._socket.recv(_READ_BYTES)):
                raise ConnectionError("the server has closed the connection")
            parser.feed_data(read)
        if (answered := parser.get_status_code()) != status:
            raise RuntimeError(f"the server answered {answered}: {bytes(answer.body[:200])!r}")
        return json.loads(answer.body)


class _Answer:
    """What httptools finds in a response."""

    def __init__(self) -> None:
        self.body = bytearray()
        self.complete = False
        self.on_body = self.body.extend

    def on_message_complete(self) -> None:
        self.complete = True


def post(port: int, request: Request) -> Any:
    """One request over a connection of its own."""
    with Client(port) as client:
        return client.post(request)


@dataclass(frozen=True, slots=True)
class Loop:
    """Tracks answered a second, and the seconds that each one took."""

    per_s: float
    taken_s: list[float]


def closed_loop(port: int, request: Request, clients: int, tracks: int) -> Loop:
    """So many clients, each asking again as soon as it is answered."""
    waiting = iter(range(tracks))  # a range's iterator is one step: threads may share it

    def ask() -> list[float]:
        taken_s = []
        with Client(port) as client:
            for _ in waiting:
                begun = time.perf_counter()
                client.post(request)
                taken_s.append(time.perf_counter() - begun)
        return taken_s

    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as threads:
        asking = [threads.submit(ask) for _ in range(clients)]
        taken_s = [taken for answered in asking for taken in answered.result()]
    return Loop(tracks / (time.perf_counter() - start), taken_s)


def paced_s(port: int, request: Request, gaps_s: Iterable[float]) -> list[float]:
    """An open loop: the seconds of requests that come after these pauses, answered or not."""

    def ask(start: float) -> float:
        post(port, request)
        return time.perf_counter() - start

    with ThreadPoolExecutor(_MOST) as threads:
        asking = [threads.submit(ask, start) for start in arrivals(gaps_s)]
        return [answered.result() for answered in asking]


def arrivals(gaps_s: Iterable[float]) -> Iterator[float]:
    """Wait for each arrival in turn; tell when it was, or should have been where we are late."""
    due = time.perf_counter()
    for gap in gaps_s:
        due += gap
        left = due - time.perf_counter()
        if left > 0:
            time.sleep(left)
            yield time.perf_counter()
        else:
            yield due
