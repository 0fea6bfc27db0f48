"""The page's words, links checked as typed, and what `include` adds."""

import base64
import gzip
import json
import re
from pathlib import Path

import pytest

import serve.http
from tests.http.posts import multipart, stream

WEB = Path(serve.http.__file__).parent / "web"


def test_the_page_has_no_words_of_its_own():
    # All are in strings.en.js: a translation is one more file.
    body = re.sub(r"(?s)<!--.*?-->|<noscript>.*?</noscript>", "", (WEB / "index.html").read_text())
    inside = re.search(r"(?s)<body>(.*)</body>", body)[1]
    words = re.sub(r"(?s)<[^>]*>", " ", inside).split()
    assert words == ["topgenre"]
    assert " style=" not in body
    assert not re.search(r"\son\w+=", body)


@pytest.mark.parametrize(
    "url",
    [
        "https://youtu.be/dQw4w9WgXcQ?t=1",
        "www.youtube.com/watch?v=dQw4w9WgXcQ&list=x",
        "Hear [this](https://youtu.be/dQw4w9WgXcQ).",
    ],
)
def test_a_link_is_checked_without_asking_youtube(client, youtube, url):
    response = client.get("/check", params={"url": url})
    assert response.json() == {
        "id": "dQw4w9WgXcQ",
        "url": "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
    }
    assert youtube.log == []


BAD = ["", "hello", "https://vimeo.com/1", "youtube.com/@x", "x" * 3000]
TWO = "https://youtu.be/dQw4w9WgXcQ https://youtu.be/AAAAAAAAAAA"


@pytest.mark.parametrize(
    "url", ["", "hello", "https://vimeo.com/1", "youtube.com/@x", TWO, "x" * 3000]
)
def test_a_link_is_refused_in_the_same_words_as_by_predict(client, url):
    checked = client.get("/check", params={"url": url})
    asked = client.post("/predict", json={"url": url})
    assert checked.status_code == asked.status_code == 400
    for key in ("error", "code", "retryable"):
        assert checked.json()[key] == asked.json()[key]


def test_a_check_needs_a_link(client):
    response = client.get("/check")
    assert (response.status_code, response.json()["code"]) == (400, "bad_request")


def test_nothing_is_included_unasked(client):
    assert not {"clips", "mel"} & set(client.post("/predict", **multipart()).json())


@pytest.mark.parametrize("query", ["include=clips,mel", "include=mel&include=clips"])
def test_what_is_included(client, query):
    answer = client.post(f"/predict?{query}", **multipart()).json()
    clips, mel = answer["clips"], answer["mel"]
    assert len(clips["percent"]) == len(answer["timeline"])
    for shares, clip in zip(clips["percent"], answer["timeline"], strict=True):
        best = max(range(len(shares)), key=shares.__getitem__)
        assert clips["genres"][best] == clip["genre"]
        assert shares[best] == pytest.approx(100 * clip["confidence"], abs=0.06)
        assert sum(shares) == pytest.approx(100, abs=0.06 * len(shares))
        assert all(share == round(share, 1) for share in shares)
    assert len(base64.b64decode(mel["pixels"])) == mel["columns"] * mel["bands"]
    assert mel["columns"] == 16 * len(answer["timeline"])


def test_it_is_included_in_the_last_event_too(client):
    events = stream(client, params={"include": "mel"}, **multipart())
    name, answer = events[-1]
    assert name == "result"
    assert "mel" in answer
    assert "clips" not in answer


def test_what_there_is_not_can_not_be_included(client):
    response = client.post("/predict?include=mel,moon", **multipart())
    assert (response.status_code, response.json()["code"]) == (400, "bad_request")
    assert "clips and mel" in response.json()["error"]


def test_an_answer_with_everything_is_bounded(client):
    # Ten minutes' worth of picture and clips; packed it is what a page would weigh.
    answer = client.post("/predict?include=clips,mel", **multipart()).json()
    per_clip = len(json.dumps(answer["clips"]["percent"])) / len(answer["timeline"])
    assert len(answer["mel"]["pixels"]) <= 768 * 64 * 4 / 3 + 4
    assert per_clip < 120
    assert gzip.compress(json.dumps(answer).encode())
