"""`POST /predict` with a link: the whole way, against a stand-in for YouTube."""

import asyncio
import json
import os
import threading

import httpx
import psutil
import pytest

from tests.eventually import until
from tests.http.posts import SONG, multipart, stream
from tests.media import INDEX_FIRST, Encoding, by_name, encode, music
from tests.server import running_server
from tests.sources.processes import LOAD_S, downloaders, templates
from tests.standin import Video, faults

ID = "dQw4w9WgXcQ"
EVENTS = {"Accept": "text/event-stream"}
URL = f"https://www.youtube.com/watch?v={ID}"
M4A = encode(music(60.0), by_name("m4a-index-first"))
WEBM = encode(music(60.0, 48_000), by_name("opus-webm"))


@pytest.mark.parametrize("itag", [140, 251])
def test_a_link_gets_the_answer_of_its_audio(client, server, youtube, itag):
    media = {140: M4A, 251: WEBM}[itag]
    youtube.add(Video(ID, {itag: media}, title="A song ♫", length=60))
    before = server.metric("topgenre_inference_calls_total")
    response = client.post("/predict", json={"url": f"https://youtu.be/{ID}?si=x&list=RD{ID}"})
    assert response.status_code == 200
    answer = response.json()
    assert answer["video_title"] == "A song ♫"
    assert answer["duration_s"] == pytest.approx(60, abs=0.1)
    assert server.metric("topgenre_inference_calls_total") == before + 1
    same = client.post("/predict", **multipart("x", media)).json()
    assert answer["results"] == same["results"]
    assert answer["timeline"] == same["timeline"]
    assert downloaders() == []


def test_progress_of_a_link(client, youtube):
    youtube.add(Video(ID, {140: M4A}, title="T", length=60))
    events = stream(client, json={"url": URL})
    stages = [data["stage"] for _, data in events[:-1]]
    assert stages[:2] == ["accepted", "found"]
    assert stages[-1] == "classifying"
    fractions = [data["fraction"] for _, data in events[:-1] if data["stage"] == "downloading"]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1.0, abs=0.02)
    assert events[1][1]["duration_s"] == 60
    assert events[-1][0] == "result"


def test_the_first_event_does_not_wait_for_youtube(client, youtube):
    youtube.add(Video(ID, watch=faults.hang()))
    with client.stream("POST", "/predict", json={"url": URL}, headers=EVENTS) as response:
        lines = response.iter_lines()
        assert next(lines) == "event: progress"
        event = json.loads(next(lines).removeprefix("data: "))
        assert event["stage"] == "accepted"
        assert event["fraction"] is None
        until(lambda: youtube.log)  # it was asked, and will never answer
    until(lambda: downloaders() == [])


def test_with_yt_dlp_kept_loaded(tiny_model, youtube):
    youtube.add(Video(ID, {140: M4A}, title="T", length=60))
    with running_server(model=tiny_model, decoders=1, youtube_preload=True) as server:
        until(lambda: server.metric("topgenre_youtube_preloaded") == 1, LOAD_S)
        (template,) = templates()
        with server.client() as client:
            for _ in range(2):
                answer = client.post("/predict", json={"url": URL})
                assert answer.json()["video_title"] == "T"
            assert downloaders() == []
            youtube.add(Video(ID, {140: M4A}, length=60, fault=faults.stall(100_000)))
            with client.stream("POST", "/predict", json={"url": URL}, headers=EVENTS) as response:
                lines = response.iter_lines()  # when it goes, the connection does
                assert next(lines)
                until(lambda: len(youtube.audio()) > 2)
                (downloader,) = downloaders()
                assert psutil.Process(downloader).ppid() == template
            until(lambda: downloaders() == [])
        assert templates() == [template]
    assert templates() == []


@pytest.mark.parametrize(
    ("video", "status", "code"),
    [
        (Video(ID, {140: M4A}, length=601), 400, "too_long"),
        (Video(ID, {140: b"not audio" * 9999}, length=60), 422, "undecodable"),
        (
            Video(ID, status="LOGIN_REQUIRED", reason="Private video", length=60),
            403,
            "private",
        ),
        (Video(ID, status="ERROR", reason="Video unavailable"), 404, "unavailable"),
        (Video(ID, {140: M4A}, length=60, fault=faults.status(403)), 502, "youtube_error"),
        (Video(ID, {140: M4A}, length=60, fault=faults.status(429)), 429, "rate_limited"),
    ],
    ids=["long", "no audio", "private", "removed", "forbidden", "limited"],
)
def test_what_youtube_refuses_is_said(client, youtube, video, status, code):
    youtube.add(video)
    response = client.post("/predict", json={"url": URL})
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert downloaders() == []


def test_the_longest_video_is_taken(client, youtube):
    small = Encoding("", "ipod", "aac", 22_050, "mono", bit_rate=32_000, options=INDEX_FIRST)
    content = encode(music(600.0, 22_050, 1), small)
    youtube.add(Video(ID, {140: content}, length=600))
    answer = client.post("/predict", json={"url": URL}).json()
    assert len(answer["timeline"]) == 429


def test_a_silent_upstream_meets_the_deadline(tiny_model, youtube):
    youtube.add(Video(ID, {140: M4A}, length=60, fault=faults.stall(100_000)))
    with running_server(model=tiny_model, decoders=1, deadline_s=6.0) as server:
        with server.client() as client:
            response = client.post("/predict", json={"url": URL})
        assert response.json()["code"] == "timeout"
        until(lambda: downloaders() == [])
        youtube.add(Video(ID, {140: M4A}, length=60))
        with server.client() as client:
            assert client.post("/predict", json={"url": URL}).status_code == 200


def test_leaving_kills_the_download(server, youtube):
    youtube.add(Video(ID, {140: M4A}, length=60, fault=faults.stall(100_000)))

    async def leave():
        async with httpx.AsyncClient(trust_env=False) as client:
            asking = asyncio.create_task(client.post(f"{server.url}/predict", json={"url": URL}))
            while not youtube.audio():
                await asyncio.sleep(0.01)
            assert downloaders()
            asking.cancel()

    asyncio.run(leave())
    until(lambda: downloaders() == [])
    until(lambda: server.metric("topgenre_requests_active") == 0)


def test_several_at_once(client, server, youtube):
    ids = [letter * 11 for letter in "ABC"]
    for video_id in ids:
        youtube.add(Video(video_id, {140: M4A}, title=video_id, length=60))
    titles = []

    def ask(video_id):
        with server.client() as client:
            answer = client.post("/predict", json={"url": f"youtu.be/{video_id}"}).json()
            titles.append(answer["video_title"])

    threads = [threading.Thread(target=ask, args=(video_id,)) for video_id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(titles) == ids


def test_nothing_is_left_behind(client, server, youtube, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    youtube.add(Video(ID, {140: M4A}, length=60))

    def held():
        process = psutil.Process(os.getpid())
        return process.num_fds(), len(process.children(recursive=True)), process.num_threads()

    for _ in range(2):
        client.post("/predict", json={"url": URL})
        client.post("/predict", **multipart("song.mp3", SONG))
    before = held()
    for _ in range(5):
        assert client.post("/predict", json={"url": URL}).status_code == 200
        assert client.post("/predict", **multipart("song.mp3", SONG)).status_code == 200
    until(lambda: held()[:2] <= before[:2])
    assert list(tmp_path.iterdir()) == []
