"""The same track again: answered from the cache, whoever asks and whatever else goes on."""

import json
import sqlite3
import zlib
from contextlib import asynccontextmanager

import pytest

from serve.audio.pool import DecoderPool
from tests.eventually import until
from tests.http.posts import SONG, connect, multipart, raw, stream
from tests.http.test_youtube import ID, M4A, URL
from tests.media import by_name, encode, music
from tests.models import CARD, write_model
from tests.server import running_server
from tests.standin import Video, faults


@pytest.fixture
def settings(tiny_model, tmp_path):
    return {"model": tiny_model, "decoders": 1, "cache": str(tmp_path / "cache")}


@pytest.fixture
def server(settings):
    with running_server(**settings) as server:
        yield server


@asynccontextmanager
async def no_decoder(_):
    raise AssertionError("a decoder was asked for")
    yield


def told(answer):
    return {k: v for k, v in answer.items() if k not in ("cached", "timings_ms", "request_id")}


def link(client, video_id=ID):
    return client.post("/predict", json={"url": f"https://youtu.be/{video_id}"})


def stored(server):
    until(lambda: server.metric("topgenre_cache_entries") > 0)


def test_a_video_is_fetched_once(client, server, youtube):
    youtube.add(Video(ID, {140: M4A}, title="A song ♫", length=60))
    first = link(client).json()
    asked = len(youtube.log)
    again = client.post("/predict", json={"url": URL}).json()
    assert (first["cached"], again["cached"]) == (False, True)
    assert told(again) == told(first)
    assert again["request_id"] != first["request_id"]
    assert set(again["timings_ms"]) == {"cache", "total"}
    assert len(youtube.log) == asked
    assert server.metric("topgenre_cache_lookups_total", found="answer") == 1


def test_extras_come_from_the_cache_too(client, youtube):
    youtube.add(Video(ID, {140: M4A}, length=60))
    for cached in (False, True):
        answer = client.post("/predict?include=mel,clips", json={"url": URL}).json()
        assert answer["cached"] is cached
        plain = link(client).json()
        extra = set(answer) - set(plain)
        assert len(extra) == 2
    assert told(answer) == told(client.post("/predict?include=mel,clips", json={"url": URL}).json())


def test_a_stream_of_what_is_known_is_its_result(client, youtube):
    youtube.add(Video(ID, {140: M4A}, length=60))
    first = link(client).json()
    events = stream(client, json={"url": URL})
    assert [name for name, _ in events] == ["result"]
    assert told(events[0][1]) == told(first)


@pytest.mark.parametrize("form", [multipart("b.mp3"), raw(**{"X-Filename": "b.mp3"})])
def test_a_file_is_known_by_its_content_and_has_its_own_name(client, server, form):
    first = client.post("/predict", **multipart("a.mp3")).json()
    calls = server.metric("topgenre_inference_calls_total")
    again = client.post("/predict", **form).json()
    assert (first["cached"], again["cached"]) == (False, True)
    assert (first["video_title"], again["video_title"]) == ("a.mp3", "b.mp3")
    assert told(again) | {"video_title": ""} == told(first) | {"video_title": ""}
    assert {"cache", "total"} <= set(again["timings_ms"])
    assert "inference" not in again["timings_ms"]
    assert server.metric("topgenre_inference_calls_total") == calls
    other = client.post("/predict", **raw(SONG[:-1000])).json()
    assert other["cached"] is False


def test_what_is_known_needs_no_decoder(client, monkeypatch):
    client.post("/predict", **raw())
    monkeypatch.setattr(DecoderPool, "lease", no_decoder)
    assert client.post("/predict", **raw()).json()["cached"] is True


def test_what_only_begins_like_a_known_track_is_decoded(client):
    first = client.post("/predict", **raw()).json()
    other = client.post("/predict", **raw(SONG[:140_000])).json()
    assert other["cached"] is False
    assert other["duration_s"] < first["duration_s"]


def test_what_is_only_known_in_the_end_is_not_decoded_further(settings):
    with running_server(**settings) as server, server.client() as client:
        first = client.post("/predict", **raw()).json()
        stored(server)
    with running_server(**settings) as server, server.client() as client:
        again = client.post("/predict", **raw()).json()
        assert again["cached"] is True
        assert told(again) == told(first)
        assert server.metric("topgenre_inference_calls_total") == 0
        # The decoder that was stopped in the middle is replaced.
        assert client.post("/predict", **raw(SONG[:-1000])).status_code == 200
        assert server.metric("topgenre_requests_active") == 0


@pytest.mark.parametrize("size", [1, 100, 4095, 4096, 4097])
def test_a_small_file_is_known_too(client, server, size):
    for _ in range(2):
        answer = client.post("/predict", **raw(bytes(size))).json()
        assert answer["code"] == "undecodable"
    assert server.metric("topgenre_cache_lookups_total", found="failure") == 1


def test_it_outlives_the_server(settings, youtube):
    youtube.add(Video(ID, {140: M4A}, title="T", length=60))
    answers = []
    for _ in range(2):
        with running_server(**settings) as server, server.client() as client:
            answers.append([link(client).json(), client.post("/predict", **raw()).json()])
    assert [answer["cached"] for answer in answers[0]] == [False, False]
    assert [answer["cached"] for answer in answers[1]] == [True, True]
    assert [*map(told, answers[0])] == [*map(told, answers[1])]


def test_another_model_knows_nothing_of_it(settings, tmp_path):
    for name, cached in (("tiny", False), ("tiny", True), ("other", False)):
        model = write_model(tmp_path / f"{name}.onnx", CARD, version=name)
        with running_server(**settings | {"model": model}) as server, server.client() as client:
            assert client.post("/predict", **raw()).json()["cached"] is cached


def test_two_servers_share_a_folder(settings):
    with running_server(**settings) as one, running_server(**settings) as other:
        with one.client() as client:
            client.post("/predict", **raw())
        stored(one)
        with other.client() as client:
            assert client.post("/predict", **raw()).json()["cached"] is True


def test_in_memory_it_lasts_as_long_as_the_server(settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        with running_server(**settings | {"cache": "memory"}) as server, server.client() as client:
            answers = [client.post("/predict", **multipart()).json() for _ in range(2)]
        assert [answer["cached"] for answer in answers] == [False, True]
    assert [*tmp_path.iterdir()] == []


def test_off_it_keeps_nothing(settings, tmp_path):
    with running_server(**settings | {"cache": "off"}) as server, server.client() as client:
        for _ in range(2):
            assert client.post("/predict", **raw()).json()["cached"] is False
    assert not (tmp_path / "cache").exists()


def test_without_its_folder_a_server_goes_on_in_memory(settings, tmp_path, caplog):
    (tmp_path / "file").write_bytes(b"")
    cache = str(tmp_path / "file" / "cache")
    with running_server(**settings | {"cache": cache}) as server, server.client() as client:
        answers = [client.post("/predict", **raw()).json() for _ in range(2)]
    assert [answer["cached"] for answer in answers] == [False, True]
    assert "the cache can't be used now" in caplog.text


@pytest.mark.parametrize(
    ("video", "code", "kept"),
    [
        (Video(ID, status="ERROR", reason="Video unavailable"), "unavailable", True),
        (Video(ID, status="LOGIN_REQUIRED", reason="Private video", length=60), "private", True),
        (Video(ID, {140: b"not audio" * 9999}, length=60), "undecodable", True),
        (
            Video(ID, status="LOGIN_REQUIRED", reason="Sign in to confirm you’re not a bot"),
            "bot_check",
            False,
        ),
        (Video(ID, {140: M4A}, length=60, fault=faults.status(403)), "youtube_error", False),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_failures_that_come_again_are_kept(client, youtube, video, code, kept):
    youtube.add(video)
    first = link(client)
    assert first.json()["code"] == code
    asked = len(youtube.log)
    again = link(client)
    assert again.status_code == first.status_code
    assert told(again.json()) == told(first.json())
    assert (len(youtube.log) == asked) is kept
    youtube.add(Video(ID, {140: M4A}, length=60))
    assert link(client).status_code == (first.status_code if kept else 200)


def test_a_file_that_can_not_be_read_is_known(client, server):
    silent = encode(music(3.0) * 0, by_name("flac"))
    for _ in range(2):
        assert client.post("/predict", **raw(silent)).json()["code"] == "silent"
    assert server.metric("topgenre_cache_lookups_total", found="failure") == 1


@pytest.mark.usefixtures("eager")
def test_under_overload_what_is_known_is_answered(settings, youtube):
    for video_id in (ID, "B" * 11):
        youtube.add(Video(video_id, {140: M4A}, length=60))
    with running_server(**settings, max_requests=1) as server, server.client() as client:
        assert link(client).status_code == 200
        accepted = connect(server)
        until(lambda: server.metric("topgenre_requests_active") == 1)
        for refused in (link(client, "B" * 11), client.post("/predict", **raw())):
            assert refused.status_code == 429
            assert refused.json()["code"] == "overloaded"
            assert refused.headers["retry-after"] == "1"
        assert link(client).json()["cached"] is True
        for path in ("/health/live", "/health/ready", "/metrics", "/info"):
            assert client.get(path).status_code == 200
        accepted.sendall(SONG[20_000:])
        assert accepted.recv(12) == b"HTTP/1.1 200"
        accepted.close()
        assert link(client, "B" * 11).status_code == 200


def test_what_lies_on_disk_is_json(client, tmp_path):
    client.post("/predict", **raw())

    def values():
        with sqlite3.connect(tmp_path / "cache" / "answers.sqlite") as database:
            rows = database.execute("SELECT value FROM answers").fetchall()
        database.close()
        return rows

    until(values)
    assert json.loads(zlib.decompress(values()[0][0]))["top_prediction"]
