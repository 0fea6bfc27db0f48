"""HAProxy and nginx, as we show how to set them up, in front of a server."""

from __future__ import annotations

import json
import logging
import re
import socket
from contextlib import ExitStack, closing
from http.client import HTTPResponse

import httpx
import pytest

from serve.errors import ERRORS
from tests.deploy.proxies import haproxy, nginx
from tests.eventually import until
from tests.http.posts import events_of, heard, multipart
from tests.process import free_port
from tests.server import running_server

PROXIES = {"haproxy": haproxy, "nginx": nginx}
OWN_ORIGIN = "https://music.test"


@pytest.fixture(scope="module")
def server(tiny_model):
    with running_server(
        model=tiny_model,
        decoders=1,
        trusted_proxies=("127.0.0.1",),
        cors_origins=("https://elsewhere.test",),
        hosts=("127.0.0.1", "music.test"),
    ) as running:
        yield running


def port_of(url):
    return int(url.rpartition(":")[2])


def sooner(text):
    """Whoever waits for a client waits less."""
    changed = re.sub(r"\b(http-request|client_\w+_timeout) 10s", r"\1 300ms", text)
    assert changed != text
    return changed


@pytest.fixture(scope="module", params=PROXIES)
def proxy_name(request):
    return request.param


@pytest.fixture(scope="module")
def proxy(proxy_name, server):
    port = port_of(server.url)
    with PROXIES[proxy_name](port, port, change=sooner) as url:
        yield url


@pytest.fixture
def client(proxy):
    with httpx.Client(base_url=proxy, timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture
def connect(proxy):
    """Makes connections, with their first bytes sent."""
    with ExitStack() as stack:

        def connect(content):
            where = ("127.0.0.1", port_of(proxy))
            connection = stack.enter_context(closing(socket.create_connection(where, timeout=30)))
            connection.sendall(content)
            return connection

        yield connect


def status_of(connection):
    with closing(HTTPResponse(connection)) as response:
        response.begin()
        return response.status


def code_of(connection):
    """The code of the error that comes on a connection, which is as the server's own."""
    with closing(HTTPResponse(connection)) as response:
        response.begin()
        assert response.headers["content-type"] == "application/json"
        said = json.load(response)
    kind = ERRORS[said["code"]]
    assert response.status == kind.status
    assert (said["error"], said["retryable"]) == (kind.text, kind.retryable)
    assert said["request_id"]
    return said["code"]


def test_an_answer_comes_through(client, caplog):
    caplog.set_level(logging.INFO, "serve.requests")
    own = {"Host": "music.test", "Origin": OWN_ORIGIN, "X-Forwarded-For": "192.0.2.7"}
    assert client.post("/predict", headers=own, **multipart()).status_code == 200

    def clients():
        fields = [getattr(record, "fields", {}) for record in caplog.records]
        return [of["client"] for of in fields if of.get("path") == "/predict"]

    until(clients)
    assert clients() == ["127.0.0.1"]


def test_events_come_through(client):
    response = client.post("/predict", headers={"Accept": "text/event-stream"}, **multipart())
    assert [*events_of(response)][-1][0] == "result"


HEAD = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: audio/mpeg\r\n"


def test_a_slow_client_gets_to_no_server(connect, proxy_name, caplog):
    caplog.set_level(logging.INFO, "serve.requests")
    head, body = connect(HEAD), connect(HEAD + b"Content-Length: 9000\r\n\r\nhalf")
    if proxy_name == "haproxy":
        assert code_of(body) == "slow_client"
        assert b" 408 " in heard(head).partition(b"\r\n")[0]
    else:
        assert [heard(head), heard(body)] == [b"", b""]
    assert "/predict" not in caplog.text


def test_one_address_may_not_take_all(connect):
    waiting = [connect(HEAD + b"Content-Length: 9000\r\n\r\nhalf") for _ in range(40)]
    # A proxy's threads may take note of a connection a little later than they accept the next.
    asking = b"GET /info HTTP/1.1\r\nHost: a\r\n\r\n"
    until(lambda: status_of(connect(asking)) == 429)
    assert code_of(connect(asking)) == "overloaded"
    assert len(waiting) == 40


def test_what_is_larger_than_any_batch_is_refused(server):
    port = port_of(server.url)
    with nginx(port, port) as url, httpx.Client(trust_env=False) as client:
        where = ("127.0.0.1", port_of(url))
        with closing(socket.create_connection(where, timeout=30)) as connection:
            connection.sendall(HEAD + b"Content-Length: 600000000\r\nConnection: close\r\n\r\n")
            assert code_of(connection) == "too_big"
        assert client.get(f"{url}/info").status_code == 200


@pytest.mark.parametrize("name", PROXIES)
def test_where_no_server_is_there_it_is_said(name):
    with (
        PROXIES[name](free_port(), free_port()) as url,
        closing(socket.create_connection(("127.0.0.1", port_of(url)), timeout=30)) as asked,
    ):
        asked.sendall(b"GET /info HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert code_of(asked) == "not_ready"
