"""Many who ask for one video at the same time: one download and one slot for all of them."""

import json
import socket
import threading
from contextlib import closing, contextmanager

import httpx
import pytest

from tests.eventually import until
from tests.http.posts import heard
from tests.http.test_youtube import ID, M4A, URL
from tests.server import running_server
from tests.sources.processes import downloaders
from tests.standin import Video, faults


class Gate:
    """Audio of which the second half comes when it is opened."""

    def __init__(self):
        self.opened = threading.Event()

    def __call__(self, handler, media, start, end):
        handler.audio_head(start, end, len(media))
        handler.send(media[start : len(media) // 2])
        self.opened.wait(30)
        handler.send(media[len(media) // 2 : end + 1])
        return True


@pytest.fixture
def gate(youtube):
    gate = Gate()
    youtube.add(Video(ID, {140: M4A}, title="T", length=60, fault=gate))
    yield gate
    gate.opened.set()


@contextmanager
def asking(server, accept="application/json", **body):
    """A request for the video that is under way; leaving the context leaves the server."""
    content = json.dumps(body or {"url": URL})
    port = httpx.URL(server.url).port
    with closing(socket.create_connection(("127.0.0.1", port), timeout=30)) as connection:
        connection.sendall(
            b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            + f"Accept: {accept}\r\nConnection: close\r\n".encode()
            + f"Content-Length: {len(content)}\r\n\r\n{content}".encode()
        )
        yield connection


def waiters(server):
    return server.metric("topgenre_flight_waiters")


def test_a_video_is_fetched_once_for_all(server, youtube, gate):
    calls = server.metric("topgenre_inference_calls_total")
    with (
        asking(server) as one,
        asking(server) as two,
        asking(server, url=f"youtu.be/{ID}") as three,
    ):
        until(lambda: waiters(server) == 3)
        assert server.metric("topgenre_flights") == 1
        assert server.metric("topgenre_requests_active") == 1
        until(youtube.audio)
        assert len(downloaders()) == 1
        gate.opened.set()
        answers = [heard(connection) for connection in (one, two, three)]
    assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)
    bodies = [json.loads(answer.partition(b"\r\n\r\n")[2]) for answer in answers]
    assert len({body["request_id"] for body in bodies}) == 3
    assert bodies[0]["results"] == bodies[1]["results"] == bodies[2]["results"]
    assert len(youtube.audio()) == 1
    assert server.metric("topgenre_inference_calls_total") == calls + 1
    until(lambda: server.metric("topgenre_flights") == 0)


def test_progress_goes_to_all_and_a_latecomer_hears_the_newest(server, youtube, gate):
    with asking(server, "text/event-stream") as first:
        got = b""
        while b'"listening"' not in got:
            got += first.recv(4096)
        with asking(server, "text/event-stream") as late:
            early = b""
            while b'"listening"' not in early:  # though nothing new happens
                early += late.recv(4096)
            assert b'"found"' in early
            gate.opened.set()
            both = got + heard(first), early + heard(late)
    for text in both:
        assert b'"classifying"' in text
        assert b"event: result" in text


def test_who_leaves_takes_nothing_away(server, youtube, gate):
    with asking(server) as stays:
        with asking(server):
            until(lambda: waiters(server) == 2)
        until(lambda: waiters(server) == 1)
        assert len(downloaders()) == 1
        gate.opened.set()
        assert heard(stays).startswith(b"HTTP/1.1 200")
    assert len(youtube.audio()) == 1


def test_the_last_one_to_leave_ends_the_download(server, youtube, gate):
    with asking(server), asking(server):
        until(lambda: waiters(server) == 2)
        until(youtube.audio)
        assert len(downloaders()) == 1
    until(lambda: downloaders() == [])
    until(lambda: server.metric("topgenre_requests_active") == 0)
    assert server.metric("topgenre_flights") == 0


@pytest.mark.parametrize(
    "video",
    [Video(ID, watch=faults.hang()), Video(ID, {140: M4A}, length=60, fault=faults.stall(0))],
    ids=["extraction", "download"],
)
def test_leaving_ends_the_work_at_every_stage(server, youtube, video):
    youtube.add(video)
    with asking(server):
        until(youtube.audio if video.media else lambda: youtube.log)
        assert len(downloaders()) == 1
    until(lambda: downloaders() == [])
    until(lambda: server.metric("topgenre_requests_active") == 0)


def test_the_deadline_ends_it_for_all(tiny_model, youtube, gate):
    with running_server(model=tiny_model, decoders=1, deadline_s=2.0) as server:
        with asking(server) as one, asking(server) as two:
            assert all(b'"timeout"' in heard(connection) for connection in (one, two))
        assert downloaders() == []
        assert server.metric("topgenre_flights") == 0


def test_a_failure_goes_to_all(server, youtube):
    opened = threading.Event()

    def fail(handler):
        opened.wait(30)
        return handler.reply(429)

    youtube.add(Video(ID, {140: M4A}, length=60, fault=lambda handler, *_: fail(handler)))
    with asking(server) as one, asking(server) as two:
        until(lambda: waiters(server) == 2)
        opened.set()
        assert all(b'"rate_limited"' in heard(connection) for connection in (one, two))
    assert len(youtube.audio()) == 1
