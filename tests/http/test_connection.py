"""Clients that are slow, greedy or many."""

import asyncio
import json
import select
import socket
import threading
import time
from contextlib import ExitStack, closing, suppress
from functools import partial

import httpx
import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serve.http.connection import _RESERVE, BoundedProtocol, Turns
from tests.eventually import until
from tests.http.posts import SONG, heard, raw
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
INFO = b"GET /info HTTP/1.1\r\nHost: 127.0.0.1\r\n"
POST = b"POST /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n"


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
    connection = connect(POST + b"Content-Length: 1000000000\r\n\r\n")
    assert send_until_closed(connection, b"x").startswith(b"HTTP/1.1 405")


def test_a_request_that_is_worked_on_has_its_own_time(server, connect):
    connection = connect(
        b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: audio/mpeg\r\n"
        b"Content-Length: %d\r\n\r\n" % len(SONG) + SONG[:1000]
    )
    silent = connect()
    for at in range(1000, 41_000, 10_000):
        time.sleep(0.3)
        connection.sendall(SONG[at : at + 10_000])
    assert heard(silent) == b""  # as long as that
    connection.sendall(SONG[41_000:])
    assert connection.recv(12) == b"HTTP/1.1 200"


@pytest.mark.parametrize("drip", [b"", b"x"], ids=["nothing more", "a byte now and then"])
def test_an_upload_that_is_too_slow_is_told_so(connect, drip):
    connection = connect(
        b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: audio/mpeg\r\n"
        b"Content-Length: %d\r\n\r\n" % len(SONG) + SONG[:1000]
    )
    for _ in range(10 if drip else 0):
        time.sleep(0.15)
        connection.sendall(drip)
    status, _, body = error(connection.recv(1 << 16))
    assert (status, body["code"], body["retryable"]) == (408, "slow_client", True)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (POST + b"Connection: close\r\n", 405),
        (POST.replace(b"1.1", b"1.0"), 405),
        (POST, 405),
        (b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: audio/mpeg\r\n", 408),
    ],
    ids=["to be closed", "of HTTP/1.0", "kept", "slow"],
)
def test_an_early_answer_outlives_what_is_sent_after_it(connect, head, status):
    """A client that sends on for a moment meets no reset, which many take for the answer."""
    connection = connect()
    head += b"Content-Length: 100000000\r\n\r\n"
    # More than is read before the answer: what is left unread at the end resets the connection.
    connection.send(head + (SONG[:1000] if status == 408 else bytes(2_000_000)))
    while not select.select([connection], [], [], 0.03)[0]:
        connection.sendall(b"x")
    for _ in range(10):
        connection.sendall(b"x")
        time.sleep(0.03)
    assert heard(connection).startswith(b"HTTP/1.1 %d" % status)


def test_several_requests_on_one_connection(connect):
    connection = connect(3 * (GET + b"\r\n"))
    assert heard(connection).count(b'{"status":"live"}') == 3


def test_connections_that_send_ahead_take_turns(connect, monkeypatch):
    waited = []
    wait = Turns.wait

    def seen(self, begin):
        waited.append(begin)
        wait(self, begin)

    monkeypatch.setattr(Turns, "wait", seen)
    ahead, plain = connect(20 * (GET + b"\r\n")), connect(GET + b"\r\n")
    assert heard(ahead).count(b'{"status":"live"}') == 20
    assert heard(plain).count(b'{"status":"live"}') == 1
    assert 10 < len(waited) < 20


def test_one_thing_is_begun_in_a_turn():
    async def main():
        turns = Turns()
        begun: list[int] = []
        for number in range(5):
            turns.wait(partial(begun.append, number))
        for count in range(1, 6):
            await asyncio.sleep(0)
            assert begun == list(range(count))
        turns.wait(lambda: begun.append(5))
        await asyncio.sleep(0)
        assert len(begun) == 6

    asyncio.run(main())


def test_of_requests_sent_ahead_few_wait(connect, monkeypatch):
    most, sent = 0, 3000
    real = BoundedProtocol.on_headers_complete

    def counted(self):
        nonlocal most
        real(self)
        most = max(most, len(self.pipeline))

    monkeypatch.setattr(BoundedProtocol, "on_headers_complete", counted)
    connection = connect()
    content = sent * (GET + b"\r\n") + b"nonsense\r\n\r\n"
    sending = threading.Thread(target=connection.sendall, args=(content,))
    sending.start()
    got = heard(connection)
    sending.join()
    assert 0 < most <= 8 + 512 // len(GET)
    assert got.count(b'{"status":"live"}') == sent
    assert b'"code": "bad_request"' in got, "what follows is no request, and is told so at the end"


CURL = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"


@pytest.mark.parametrize("pieces", [1, 5])
@pytest.mark.parametrize("body", ["sized", "chunked", "expected"])
def test_an_upgrade_is_ignored_body_and_all(connect, pieces, body):
    head = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: audio/mpeg\r\n" + CURL
    if body == "chunked":
        content = b"%x\r\n" % len(SONG) + SONG + b"\r\n0\r\n\r\n"
        head += b"Transfer-Encoding: chunked\r\n\r\n"
    else:
        content = SONG
        head += b"Content-Length: %d\r\n" % len(SONG)
        head += b"Expect: 100-continue\r\n\r\n" if body == "expected" else b"\r\n"
    sent = head + content + INFO + b"Connection: close\r\n\r\n"
    connection = connect()
    for n in range(pieces):
        connection.sendall(sent[n * len(sent) // pieces : (n + 1) * len(sent) // pieces])
        time.sleep(0.02)
    got = heard(connection)
    assert got.count(b"HTTP/1.1 200") == 2
    assert b'"top_prediction"' in got


def test_without_a_body_an_upgrade_is_ignored_too(connect):
    assert heard(connect(2 * (GET + CURL + b"\r\n"))).count(b'{"status":"live"}') == 2


BODIES = {
    "sized": b"Content-Length: 500000\r\n\r\n" + bytes(500_000),
    "chunked": b"Transfer-Encoding: chunked\r\n\r\n" + 9 * (b"ff\r\n" + bytes(255) + b"\r\n"),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_of_get_is_kept_nowhere(connect, monkeypatch, body):
    kept = []
    monkeypatch.setattr(HttpToolsProtocol, "on_body", lambda self, body: kept.append(body))
    end = b"0\r\n\r\n" if b"chunked" in body else b""
    got = heard(connect(INFO + body + end + GET + b"Connection: close\r\n\r\n"))
    assert got.count(b"HTTP/1.1 200") == 2
    assert kept == []


CHUNKED = (
    b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: audio/mpeg\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
)


@pytest.mark.parametrize(
    "wrong",
    [
        CHUNKED + b"no size\r\n",
        GET.replace(b"Host: 127.0.0.1\r\n", b"") + b"\r\n",
        GET + b"Host: other\r\n\r\n",
        b"CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    ],
    ids=["a broken chunk", "no host", "two hosts", "a tunnel"],
)
@pytest.mark.parametrize("before", [0, 1, 2])
def test_what_is_wrong_is_refused_after_what_is_right(connect, wrong, before):
    got = heard(connect(before * (GET + b"\r\n") + wrong))
    assert got.count(b'{"status":"live"}') == before
    assert got.count(b"HTTP/1.1 400") == 1
    assert got.endswith(b"}")


@pytest.mark.parametrize("before", [0, 1])
def test_a_head_that_is_refused_has_no_body(connect, before):
    got = heard(connect(before * (GET + b"\r\n") + b"HEAD /info HTTP/1.1\r\n\r\n"))
    assert got.count(b"HTTP/1.1 400") == 1
    assert got.endswith(b"\r\n\r\n")


def test_one_address_has_so_many_connections(tiny_model):
    with running_server(model=tiny_model, decoders=1, client_connections=3) as server:
        port = httpx.URL(server.url).port

        def connected(content):
            connection = socket.create_connection(("127.0.0.1", port), timeout=10)
            connection.sendall(content)
            return connection

        with ExitStack() as stack:
            for _ in range(3):
                stack.enter_context(closing(connected(GET)))
            one_more = stack.enter_context(closing(connected(INFO + b"\r\n")))
            status, _, body = error(heard(one_more))
            assert (status, body["code"]) == (429, "overloaded")
            assert "this address" in body["error"]
            statuses = []
            for _ in range(_RESERVE + 2):  # each stays connected
                health = stack.enter_context(closing(connected(GET + b"\r\n")))
                statuses.append(health.recv(12)[-3:])
            assert statuses[0] == statuses[_RESERVE - 2] == b"200"
            assert statuses[-1] == b"429"


class Connected(BoundedProtocol):
    def __init__(self, address, connections):
        self.client = (address, 1)
        self.connections = connections
        connections.add(self)


def test_a_customers_addresses_are_counted_together():
    connections: set[Connected] = set()
    addresses = ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "192.0.2.1")
    made = [Connected(address, connections) for address in addresses]
    assert [of._of_this_address for of in made] == [2, 2, 1, 1]


@pytest.mark.parametrize(
    "first",
    [GET + b"X-Long: ", b"GET /", GET, POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Late: "],
    ids=["header", "address", "headers", "trailer"],
)
def test_a_head_is_not_read_for_ever(connect, first):
    connection = connect(first)
    if b"chunked" in first:  # it is answered before its trailer
        assert connection.recv(12) == b"HTTP/1.1 405"
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
    status, head, body = error(heard(connect(INFO + b"\r\n")))
    assert (status, body["code"], body["retryable"]) == (429, "overloaded", True)
    assert b"retry-after: 1" in head
    # Who looks after the server still gets through; who says nothing has a second.
    health = connect(GET + b"Connection: close\r\n\r\n")
    assert b'{"status":"live"}' in heard(health)
    assert error(heard(connect()))[0] == 429
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
