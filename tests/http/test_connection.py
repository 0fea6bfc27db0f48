"""Clients that are slow, greedy or many."""

import asyncio
import json
import socket
from contextlib import ExitStack, closing, suppress
from unittest.mock import Mock

import httpx
import pytest

from serve.http.connection import HeldHead
from tests.eventually import until
from tests.http.test_predict import SONG, raw
from tests.http.test_shared import heard
from tests.server import running_server


@pytest.fixture(scope="module")
def server(tiny_model):
    settings = {
        "model": tiny_model,
        "decoders": 1,
        "max_connections": 8,
        "max_header_bytes": 8192,
        "client_timeout_s": 1.0,
    }
    with running_server(**settings) as server:
        yield server


@pytest.fixture
def connect(server):
    """Makes connections, with their first bytes sent."""
    with ExitStack() as stack:

        def connect(content=b""):
            port = httpx.URL(server.url).port
            connection = socket.create_connection(("127.0.0.1", port), timeout=30)
            stack.enter_context(closing(connection))
            connection.sendall(content)
            return connection

        yield connect


def alone(server):
    until(lambda: server.metric("topgenre_connections") == 1)


def send_until_closed(connection, block):
    """All bytes that come back while such blocks are sent on and on."""
    connection.settimeout(0.02)
    got = b""
    for _ in range(3000):
        try:
            connection.sendall(block)
            part = connection.recv(1 << 16)
        except TimeoutError:
            continue
        except OSError:
            return got
        if not part:
            return got
        got += part
    raise AssertionError("it is never closed")


def error(response):
    head, _, body = response.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.lower(), json.loads(body)


GET = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.mark.parametrize(
    ("first", "drip"),
    [
        (b"", b""),
        (GET, b"X-Slow: 1\r\n"),
        (b"G", b""),
        (b"", b"\r\n"),
        (GET + b"\r\n", b"\r\n"),
    ],
    ids=["silent", "slow head", "half a word", "empty lines", "empty lines after a request"],
)
def test_a_client_has_so_long_for_its_request(connect, first, drip):
    connection = connect(first)
    if drip:
        send_until_closed(connection, drip)
    else:
        assert heard(connection) == b""


def test_what_is_left_of_a_body_is_not_read_for_ever(connect):
    connection = connect(GET + b"Content-Length: 1000000000\r\n\r\n")
    assert send_until_closed(connection, b"x").startswith(b"HTTP/1.1 200")


def test_a_request_that_is_worked_on_has_its_own_time(server, connect):
    connection = connect(
        b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: audio/mpeg\r\n"
        b"Content-Length: %d\r\n\r\n" % len(SONG) + SONG[:1000]
    )
    silent = connect()
    assert heard(silent) == b""  # as long as that
    connection.sendall(SONG[1000:])
    assert connection.recv(12) == b"HTTP/1.1 200"


def test_several_requests_on_one_connection(connect):
    connection = connect(3 * (GET + b"\r\n"))
    assert heard(connection).count(b'{"status":"live"}') == 3


@pytest.mark.parametrize(
    "first",
    [GET + b"X-Long: ", b"GET /", GET, GET + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Late: "],
    ids=["header", "address", "headers", "trailer"],
)
def test_a_head_is_not_read_for_ever(connect, first):
    connection = connect(first)
    if b"chunked" in first:  # it is answered before its trailer
        assert connection.recv(12) == b"HTTP/1.1 200"
    connection.sendall((b"X-Many: 1\r\n" if first == GET else b"x") * 20_000)
    assert b'"code": "bad_request"' in heard(connection)


def test_a_head_that_is_just_short_enough_is_read(server):
    with server.client() as client:
        headers = {"X-Long": "x" * 7000}
        assert client.get("/health/live", headers=headers).status_code == 200


def test_what_is_no_http_is_refused_in_our_form(connect):
    status, head, body = error(heard(connect(b"\x16\x03\x01 hello\r\n\r\n")))
    assert (status, body["code"], body["retryable"]) == (400, "bad_request", False)
    assert body["request_id"]
    assert b"content-type: application/json" in head


def test_more_connections_are_refused_at_once(server, connect):
    alone(server)
    held = [connect(GET) for _ in range(7)]
    until(lambda: server.metric("topgenre_connections") == 8)  # its own is one
    held.append(connect(GET))
    status, head, body = error(heard(connect(GET + b"\r\n")))
    assert (status, body["code"], body["retryable"]) == (429, "overloaded", True)
    assert b"retry-after: 1" in head
    for connection in held:
        connection.close()
    alone(server)
    with server.client() as client:
        assert client.post("/predict", **raw()).status_code == 200


def test_a_client_that_takes_nothing_is_cut_off(server, connect):
    connection = connect()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(0.02)
    asked = b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

    def ask_on():
        while True:
            with suppress(TimeoutError):
                connection.sendall(asked)

    with pytest.raises(ConnectionError):
        ask_on()
    alone(server)


class Written(asyncio.Transport):
    """A transport that keeps what is written at once, each time."""

    def __init__(self):
        super().__init__()
        self.writes = []
        self.closed = False

    def write(self, data):
        assert not self.closed
        self.writes.append(data)

    def is_closing(self):
        return self.closed

    def close(self):
        self.closed = True


def test_a_head_goes_out_with_what_follows_at_once():
    async def main():
        transport = Written()
        held = HeldHead(transport, asyncio.get_running_loop())
        held.write(b"head ")
        assert transport.writes == []
        held.write(b"body")
        assert transport.writes == [b"head body"]
        held.write(b"more")
        await asyncio.sleep(0)
        assert transport.writes == [b"head body", b"more"]

    asyncio.run(main())


def test_a_head_waits_for_nothing_else():
    async def main():
        transport = Written()
        held = HeldHead(transport, asyncio.get_running_loop())
        held.write(b"head")
        await asyncio.sleep(0)
        assert transport.writes == [b"head"]
        held.write(b"body")
        assert transport.writes == [b"head", b"body"]

    asyncio.run(main())


@pytest.mark.parametrize("broken_off", [False, True])
def test_a_head_is_written_before_the_end_and_not_after(broken_off):
    async def main():
        transport = Written()
        held = HeldHead(transport, asyncio.get_running_loop())
        held.write(b"head")
        (transport if broken_off else held).close()
        await asyncio.sleep(0)
        assert transport.writes == ([] if broken_off else [b"head"])
        assert held.is_closing()

    asyncio.run(main())


def test_an_answer_is_one_write(connect, monkeypatch):
    writes = []

    class Seen(HeldHead):
        def __init__(self, transport, loop):
            def write(data):
                writes.append(data)
                transport.write(data)

            super().__init__(Mock(wraps=transport, write=write), loop)

    monkeypatch.setattr("serve.http.connection.HeldHead", Seen)
    connection = connect(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert connection.recv(1 << 16).endswith(b'{"status":"live"}')
    assert len(writes) == 1
