"""`POST /predict` with files: three forms, one answer, and every way it can fail."""

import pytest

from tests.http.posts import SONG, multipart, raw, stream
from tests.media import ENCODINGS, by_name, encode, music
from tests.models import GENRES

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
