"""`POST /predict` with files: three forms, one answer, and every way it can fail."""

import json
import socket
import threading
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.eventually import until
from tests.media import ENCODINGS, by_name, encode, music
from tests.models import GENRES
from tests.server import running_server

SONG = (Path(__file__).parents[1] / "data" / "song.mp3").read_bytes()


@pytest.fixture
def client(server):
    with server.client() as client:
        yield client


def multipart(name="song.mp3", content=SONG, field="file"):
    return {"files": {field: (name, content, "audio/mpeg")}}


def raw(content=SONG, content_type="audio/mpeg", **headers):
    return {"content": content, "headers": {"Content-Type": content_type} | headers}


FORMS = {
    "multipart": multipart(),
    "audio": raw(**{"X-Filename": "song.mp3"}),
    "octets": raw(content_type="application/octet-stream", **{"X-Filename": "song.mp3"}),
    "video": raw(content_type="video/mp4; x=1", **{"X-Filename": "song.mp3"}),
    "chunked": raw(content=iter([SONG[:999], SONG[999:]]), **{"X-Filename": "song.mp3"}),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gets_the_one_answer(client, server, form):
    response = client.post("/predict", **FORMS[form])
    assert response.status_code == 200
    answer = response.json()
    assert list(answer)[:3] == ["video_title", "top_prediction", "results"]
    assert answer["video_title"] == "song.mp3"
    assert answer["top_prediction"] == next(iter(answer["results"]))
    assert set(answer["results"]) == set(GENRES)
    shares = list(answer["results"].values())
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(100, abs=1e-9)
    assert answer["duration_s"] == pytest.approx(20.0, abs=0.1)
    assert answer["clip_s"] == 1.4
    assert [clip["start"] for clip in answer["timeline"]] == [round(1.4 * n, 3) for n in range(14)]
    assert all(clip["genre"] in GENRES for clip in answer["timeline"])
    assert all(0 < clip["confidence"] <= 1 for clip in answer["timeline"])
    assert answer["model"] == {
        "name": "tiny",
        "version": "1",
        "sha256": server.pipeline.model.sha256,
    }
    assert answer["provider"] == "cpu"
    assert answer["cached"] is False
    assert answer["warnings"] == []
    assert answer["request_id"] == response.headers["x-request-id"]
    stages = {"open", "download", "decode", "mel", "queue", "inference", "aggregate", "total"}
    assert set(answer["timings_ms"]) == stages
    assert answer["timings_ms"]["total"] >= answer["timings_ms"]["inference"] >= 0


def test_all_forms_agree(client):
    same = {"video_title", "top_prediction", "results", "timeline", "duration_s"}
    answers = []
    for form in ("multipart", "audio"):
        answer = client.post("/predict", **FORMS[form]).json()
        answers.append({key: answer[key] for key in same})
    assert answers[0] == answers[1]


def test_what_could_not_be_read_is_told(client):
    content = encode(music(8.0), by_name("flac"))
    answer = client.post("/predict", **raw(content[: len(content) // 2])).json()
    (warning,) = answer["warnings"]
    heard, lost = answer["duration_s"], 8.0 - answer["duration_s"]
    assert warning.startswith(f"{lost:.1f} s of the audio could not be read")
    assert f"{heard:.1f} s" in warning
    assert client.post("/predict", **raw(content)).json()["warnings"] == []


@pytest.mark.parametrize("seconds", [0.8, 20.0, 120.0])
def test_all_clips_of_a_track_go_through_one_call(client, server, seconds):
    before = server.metric("topgenre_inference_calls_total")
    content = encode(music(seconds, 22_050, 1), by_name("au"))
    answer = client.post("/predict", **raw(content, "audio/basic")).json()
    assert server.metric("topgenre_inference_calls_total") == before + 1
    assert len(answer["timeline"]) == max(1, round(seconds / 1.4))


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda encoding: encoding.name)
def test_every_container_and_codec(client, encoding):
    channels = {"mono": 1, "stereo": 2, "5.1": 6}[encoding.layout]
    content = encode(music(3.0, encoding.rate, channels), encoding)
    response = client.post("/predict", **multipart("track", content))
    assert response.status_code == 200
    assert response.json()["duration_s"] == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 400, "bad_request"),
        ({"content": b"", "headers": {"Content-Type": "application/json"}}, 400, "bad_request"),
        ({"json": []}, 400, "bad_request"),
        ({"json": {}}, 400, "bad_request"),
        ({"json": {"url": 1}}, 400, "bad_request"),
        ({"json": {"url": ""}}, 400, "bad_url"),
        ({"json": {"url": "https://example.com/watch?v=dQw4w9WgXcQ"}}, 400, "not_youtube"),
        ({"json": {"url": "https://www.youtube.com/playlist?list=PL0123"}}, 400, "playlist"),
        ({"json": {"url": "x" * 20_000}}, 413, "too_big"),
        ({"content": b"[" * 10_000, "headers": {"Content-Type": "application/json"}}, 400, None),
        ({"content": b"hello"}, 422, "undecodable"),
        (raw(b"hello", "text/plain"), 415, "unsupported_media"),
        ({"data": {"url": "https://youtu.be/dQw4w9WgXcQ"}}, 415, "unsupported_media"),
        (multipart(field="song"), 400, "bad_request"),
        (multipart(content=b"words " * 1000), 422, "undecodable"),
        (multipart(content=b""), 422, "undecodable"),
        (raw(b"words " * 1000), 422, "undecodable"),
        (raw(b""), 422, "undecodable"),
        (raw(encode(music(0.5), by_name("flac"))), 422, "too_short"),
        (raw(encode(music(3.0) * 0, by_name("flac"))), 422, "silent"),
        (raw(content_type="multipart/form-data"), 400, "bad_request"),
        (raw(content_type="multipart/form-data; boundary=b"), 400, "bad_request"),
        (
            raw(
                b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + SONG,
                "multipart/form-data; boundary=b",
            ),
            400,
            "bad_request",
        ),
    ],
)
def test_what_is_wrong_is_said(client, server, request_, status, code):
    response = client.post("/predict", **request_)
    error = response.json()
    assert response.status_code == status
    assert code is None or error["code"] == code
    assert error["error"]
    assert error["retryable"] is False
    assert error["request_id"] == response.headers["x-request-id"]
    assert server.pipeline.ready
    assert server.metric("topgenre_requests_active") == 0
    assert server.metric("topgenre_requests_total", code=error["code"]) >= 1


def test_a_form_may_hold_more_than_the_file(client):
    response = client.post(
        "/predict", data={"note": "x" * 1000, "more": "y"}, **multipart("C:\\music\\a b.mp3")
    )
    assert response.json()["video_title"] == "a b.mp3"


def test_a_name_in_another_script(client):
    assert client.post("/predict", **multipart("песня.mp3")).json()["video_title"] == "песня.mp3"
    named = raw(**{"X-Filename": "%D0%BF%D0%B5%D1%81%D0%BD%D1%8F.mp3"})
    assert client.post("/predict", **named).json()["video_title"] == "песня.mp3"


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("", "upload"),
        ("..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("a%09%00b", "ab"),
        ("x" * 999, "x" * 200),
    ],
)
def test_names_are_made_harmless(client, name, title):
    response = client.post("/predict", **raw(**{"X-Filename": name}))
    assert response.json()["video_title"] == title


@pytest.fixture(scope="module")
def strict(tiny_model):
    """A server with small limits."""
    with running_server(
        model=tiny_model,
        max_duration_s=10,
        max_body_bytes=1 << 20,
        deadline_s=3.0,
        max_requests=1,
        decoders=1,
    ) as running:
        yield running


def test_the_longest_track_is_taken_and_no_longer_one(strict):
    with strict.client() as client:
        right = client.post("/predict", **raw(encode(music(10.0), by_name("mp3"))))
        assert right.status_code == 200
        long = client.post("/predict", **raw(encode(music(12.0), by_name("mp3"))))
    assert long.status_code == 400
    assert long.json()["code"] == "too_long"


def endless_zeros(limit=400):
    for _ in range(limit):
        yield bytes(1 << 16)


@pytest.mark.parametrize(
    "request_",
    [
        multipart(content=bytes((1 << 20) + 70_000)),
        raw(bytes((1 << 20) + 70_000)),
        raw(endless_zeros()),
        raw(endless_zeros(), "application/octet-stream"),
    ],
    ids=["form", "raw", "chunked", "octets"],
)
def test_bodies_are_counted(strict, request_):
    with strict.client() as client:
        response = client.post("/predict", **request_)
    assert response.status_code == 413
    assert response.json()["code"] == "too_big"


def test_a_chunked_form_is_counted(strict):
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'

    def form():
        yield head
        yield from endless_zeros()

    with strict.client() as client:
        response = client.post("/predict", **raw(form(), "multipart/form-data; boundary=b"))
    assert response.json()["code"] == "too_big"


def drip(stop, content=SONG):
    for at in range(0, len(content), 1000):
        yield content[at : at + 1000]
        if stop.wait(0.05):
            return


def test_a_slow_body_meets_the_deadline(strict):
    stop = threading.Event()
    start = time.monotonic()
    with strict.client() as client:
        response = client.post("/predict", **raw(drip(stop)))
    assert response.status_code == 504
    assert response.json()["code"] == "timeout"
    assert response.json()["retryable"] is True
    assert time.monotonic() - start < 20
    with strict.client() as client:
        again = client.post("/predict", **raw(encode(music(3.0), by_name("mp3"))))
    assert again.status_code == 200


def test_a_slow_json_meets_the_deadline(strict):
    def endless():
        yield b'{"url": "'
        for _ in range(100):
            time.sleep(0.05)
            yield b"x"

    with strict.client() as client:
        headers = {"Content-Type": "application/json"}
        response = client.post("/predict", content=endless(), headers=headers)
    assert response.json()["code"] == "timeout"


@pytest.mark.usefixtures("eager")
def test_too_many_requests_are_refused_at_once(strict):
    stop = threading.Event()
    outcome = []

    def slow():
        with strict.client() as client:
            outcome.append(client.post("/predict", **raw(drip(stop))))

    thread = threading.Thread(target=slow)
    thread.start()
    try:
        until(lambda: strict.metric("topgenre_requests_active") == 1)
        with strict.client() as client:
            refused = client.post("/predict", **raw(b"x"))
            assert refused.status_code == 429
            assert refused.json()["code"] == "overloaded"
            assert refused.json()["retryable"] is True
            assert refused.headers["retry-after"] == "1"
            assert refused.json()["retry_after_s"] == 1
            streamed = client.post("/predict", **raw(b"x", accept="text/event-stream"))
            assert '"retry_after_s":1' in streamed.text
            assert client.get("/health/live").status_code == 200
    finally:
        stop.set()
        thread.join()
    assert outcome[0].status_code in (200, 422, 504)  # as much as had arrived, in time or not
    until(lambda: strict.metric("topgenre_requests_active") == 0)


def connect(server):
    port = httpx.URL(server.url).port
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: audio/mpeg\r\n"
        b"Content-Length: 280913\r\n\r\n" + SONG[:20_000]
    )
    return connection


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


def test_a_failure_of_ours_is_told_without_its_insides(server, monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("a secret")

    monkeypatch.setattr("serve.pipeline.job.aggregate", broken)
    with server.client() as client:
        response = client.post("/predict", **raw())
    assert response.status_code == 500
    assert response.json()["code"] == "internal"
    assert "secret" not in response.text
    assert "a secret" in caplog.text


def events_of(response):
    for block in "".join(response.iter_text()).strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        yield fields["event"], json.loads(fields["data"])


def stream(client, **request_):
    request_.setdefault("headers", {})
    request_["headers"] = request_["headers"] | {"Accept": "text/event-stream"}
    with client.stream("POST", "/predict", **request_) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        return list(events_of(response))


@pytest.mark.parametrize("form", [multipart(), raw(**{"X-Filename": "song.mp3"})])
def test_progress_is_streamed_and_ends_with_the_answer(client, form):
    events = stream(client, **form)
    assert {name for name, _ in events[:-1]} == {"progress"}
    stages = [data["stage"] for _, data in events[:-1]]
    assert stages[:2] == ["accepted", "found"]
    assert stages[-1] == "classifying"
    assert "downloading" in stages
    assert events[1][1]["video_title"] == "song.mp3"
    seconds = [data["seconds"] for _, data in events[:-1]]
    assert seconds == sorted(seconds)
    name, answer = events[-1]
    assert name == "result"
    plain = client.post("/predict", **multipart()).json()
    assert answer["results"] == plain["results"]
    assert answer["request_id"]


def test_a_failure_is_the_last_event(client):
    events = stream(client, json={"url": "https://vimeo.com/1"})
    # By another name first: an EventSource's own trouble is called `error`, too.
    assert [name for name, _ in events] == ["failure", "error"]
    assert events[0][1] == events[1][1]
    assert events[0][1]["code"] == "not_youtube"


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


def heard(connection):
    return b"".join(iter(lambda: connection.recv(1 << 16), b""))
