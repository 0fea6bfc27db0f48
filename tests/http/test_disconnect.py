"""Clients that disconnect or stall in the middle of a track."""

import json
import socket
from contextlib import closing

import httpx
import pytest

from tests.eventually import until
from tests.http.posts import SONG, connect, heard, raw
from tests.server import running_server


@pytest.mark.usefixtures("eager")
def test_a_client_that_leaves_while_sending_frees_its_slot(server):
    before = server.metric("topgenre_requests_total", code="cancelled")
    connection = connect(server)
    until(lambda: server.metric("topgenre_requests_active") == 1)
    connection.close()
    until(lambda: server.metric("topgenre_requests_active") == 0)
    after = server.metric("topgenre_requests_total", code="cancelled")
    assert after == before + 1
    until(lambda: server.metric("topgenre_decoders_alive") == server.pipeline.decoders)


@pytest.mark.usefixtures("eager")
def test_a_client_that_leaves_while_waiting_frees_its_slot(tiny_model):
    with running_server(model=tiny_model, decoders=1) as server:
        blocker = connect(server)  # holds the only decoder
        until(lambda: server.metric("topgenre_requests_active") == 1)
        waiting = connect(server)
        waiting.sendall(SONG[20_000:])
        until(lambda: server.metric("topgenre_requests_active") == 2)
        waiting.close()
        until(lambda: server.metric("topgenre_requests_active") == 1)
        blocker.sendall(SONG[20_000:])
        assert blocker.recv(12) == b"HTTP/1.1 200"
        blocker.close()


@pytest.mark.usefixtures("eager")
def test_leaving_the_stream_frees_the_slot(server):
    port = httpx.URL(server.url).port
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(
            b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: audio/mpeg\r\n"
            b"Accept: text/event-stream\r\nContent-Length: 280913\r\n\r\n" + SONG[:20_000]
        )
        heard = b""
        while b"accepted" not in heard:
            heard += connection.recv(4096)
        assert server.metric("topgenre_requests_active") == 1
    until(lambda: server.metric("topgenre_requests_active") == 0)


def test_a_stalled_track_keeps_neither_decoder_nor_place(tiny_model):
    with running_server(model=tiny_model, decoders=1, max_requests=1) as server:
        silent = [connect(server) for _ in range(20)]  # with too little to be decoded
        stalled = connect(server)
        stalled.sendall(SONG[20_000:200_000])
        until(lambda: server.metric("topgenre_requests_active") == 1)
        until(lambda: server.metric("topgenre_requests_active") == 0)
        with server.client() as client:
            assert client.post("/predict", **raw()).status_code == 200
        stalled.sendall(SONG[200_000:])
        assert stalled.recv(12) == b"HTTP/1.1 200", "it is decoded when all is there"
        for connection in (*silent, stalled):
            connection.close()
        until(lambda: server.metric("topgenre_decoders_alive") == 1)


def test_stalled_tracks_have_bounded_memory(tiny_model):
    with running_server(model=tiny_model, decoders=1, waiting_bytes=300_000) as server:
        with closing(connect(server)) as first, closing(connect(server)) as larger:
            first.sendall(SONG[20_000:160_000])
            larger.sendall(SONG[20_000:200_000])
            head, _, body = heard(larger).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 429")
            assert b"\r\nretry-after: 1" in head.lower()
            assert json.loads(body)["code"] == "overloaded"
            first.sendall(SONG[160_000:])
            assert first.recv(12) == b"HTTP/1.1 200"
        until(lambda: server.metric("topgenre_requests_active") == 0)
