"""What YouTube does to this server: it is left alone for a while, and its trouble is not ours."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from serve.audio.pool import DecoderPool
from tests.eventually import until
from tests.http.posts import raw
from tests.http.test_cached import link
from tests.http.test_shared import asking
from tests.http.test_youtube import ID, M4A
from tests.server import running_server
from tests.sources.processes import downloaders
from tests.standin import Video, faults

BOT = {"status": "LOGIN_REQUIRED", "reason": "Sign in to confirm you’re not a bot"}
KNOWN = "K" * 11


@pytest.fixture
def server(tiny_model, tmp_path):
    settings = {
        "model": tiny_model,
        "decoders": 1,
        "cache": str(tmp_path / "cache"),
        "breaker_failures": 2,
        "breaker_pause_s": 30.0,
    }
    with running_server(**settings) as server:
        yield server


@pytest.fixture
def client(server, youtube):
    youtube.add(Video(KNOWN, {140: M4A}, length=60))
    with server.client() as client:
        assert link(client, KNOWN).status_code == 200
        yield client


def later(server, monkeypatch, seconds):
    for breaker in server.pipeline.parts.breakers["youtube"]:
        clock = breaker._clock
        monkeypatch.setattr(breaker, "_clock", lambda clock=clock: clock() + seconds)


@pytest.mark.parametrize(
    ("trouble", "status", "code"),
    [
        (BOT, 503, "bot_check"),
        ({"media": {140: M4A}, "fault": faults.status(429)}, 429, "rate_limited"),
    ],
    ids=["bot check", "limit"],
)
def test_it_is_left_alone_until_one_request_finds_it_well(
    client, server, youtube, monkeypatch, trouble, status, code
):
    youtube.add(Video(ID, length=60, **trouble))
    for _ in range(2):
        assert link(client).json()["code"] == code
    assert server.metric(f"topgenre_breaker_{code}") == 1
    asked = len(youtube.log)
    refused = link(client)
    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert 1 <= int(refused.headers["retry-after"]) <= 30
    assert len(youtube.log) == asked
    assert link(client, KNOWN).json()["cached"] is True
    assert client.post("/predict", **raw()).status_code == 200

    later(server, monkeypatch, 31)
    youtube.add(Video("S" * 11, {140: M4A}, length=60, fault=faults.stall(10)))
    youtube.add(Video(ID, {140: M4A}, length=60))
    assert server.metric(f"topgenre_breaker_{code}") == 0.5
    with asking(server, url=f"youtu.be/{'S' * 11}"):  # the probe, which is given up
        until(lambda: server.metric("topgenre_requests_active") == 1)
        assert link(client).json()["code"] == code
    until(lambda: server.metric("topgenre_requests_active") == 0)
    assert link(client).status_code == 200
    assert server.metric(f"topgenre_breaker_{code}") == 0
    until(lambda: downloaders() == [])


def test_whose_trouble_it_is(client, server, youtube):
    def failures(origin):
        return {
            code: count
            for code in ("bad_url", "undecodable", "private", "youtube_error", "bot_check")
            if (count := server.metric("topgenre_failures_total", code=code, origin=origin))
        }

    youtube.add(Video(ID, {140: M4A}, length=60, fault=faults.status(403)))
    youtube.add(Video("P" * 11, status="LOGIN_REQUIRED", reason="Private video", length=60))
    link(client)
    link(client, "P" * 11)
    link(client, "x")
    client.post("/predict", **raw(b"words " * 999))
    assert failures("youtube") == {"youtube_error": 1, "private": 1}
    assert failures("client") == {"bad_url": 1, "undecodable": 1}
    assert failures("server") == {}


@asynccontextmanager
async def no_decoder(_):
    await asyncio.Event().wait()
    yield


def test_the_deadline_knows_whom_it_waited_for(tiny_model, youtube, monkeypatch):
    youtube.add(Video(ID, {140: M4A}, length=60, fault=faults.stall(10)))
    with running_server(model=tiny_model, decoders=1, deadline_s=1.5) as server:

        def timeouts():
            origins = ("client", "youtube", "server")
            name = "topgenre_failures_total"
            return [server.metric(name, code="timeout", origin=origin) for origin in origins]

        with server.client() as client:
            assert link(client).json()["code"] == "timeout"
            assert timeouts() == [0, 1, 0]

            def slow():
                yield b"R"
                until(lambda: timeouts()[0])

            assert client.post("/predict", **raw(slow())).json()["code"] == "timeout"
            assert timeouts() == [1, 1, 0]
            monkeypatch.setattr(DecoderPool, "lease", no_decoder)
            assert client.post("/predict", **raw()).json()["code"] == "timeout"
            assert timeouts() == [1, 1, 1]


def test_who_sends_slowly_is_waited_for_where_answers_are_kept_too(tiny_model):
    with (
        running_server(model=tiny_model, decoders=1, deadline_s=0.5, cache="memory") as server,
        server.client() as client,
    ):

        def slow():
            yield b"R"
            until(lambda: server.metric("topgenre_failures_total", code="timeout", origin="client"))

        assert client.post("/predict", **raw(slow())).json()["code"] == "timeout"
