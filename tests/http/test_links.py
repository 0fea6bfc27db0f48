"""`GET /predict?url=`: the same answers, by a link; and who gets none."""

import pytest

from tests.http.test_predict import SONG, events_of
from tests.standin import Video

ID = "dQw4w9WgXcQ"
LINK = {"url": f"https://youtu.be/{ID}"}


@pytest.fixture
def client(server):
    with server.client() as client:
        yield client


@pytest.fixture
def video(youtube):
    return youtube.add(Video(ID, {140: SONG}, title="T", length=20))


def test_the_answer_is_that_of_a_post(client, video):
    response = client.get("/predict", params=LINK)
    assert response.status_code == 200
    same = ("video_title", "top_prediction", "results", "timeline", "duration_s", "model")
    posted = client.post("/predict", json=LINK)
    assert {k: response.json()[k] for k in same} == {k: posted.json()[k] for k in same}
    # Whose music it is concerns nobody on the way, and it costs too much to be kept by chance.
    assert response.headers["cache-control"] == posted.headers["cache-control"] == "no-store"
    more = client.get("/predict", params=LINK | {"include": "mel"})
    assert more.json()["mel"]["columns"]


def test_it_streams_events_too(client, video):
    headers = {"Accept": "text/event-stream"}
    with client.stream("GET", "/predict", params=LINK, headers=headers) as response:
        *progress, (name, answer) = events_of(response)
    assert {name for name, _ in progress} == {"progress"}
    assert name == "result"
    assert answer["video_title"] == "T"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "bad_request"),
        ("url=", "bad_url"),
        ("url=x&url=y", "bad_request"),
        ("URL=x", "bad_request"),
    ],
)
def test_what_is_wrong_is_said(client, query, code):
    response = client.get(f"/predict?{query}")
    assert response.status_code == 400
    assert response.json()["code"] == code
    assert response.headers["cache-control"] == "no-store"


FOLLOWED = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
ASKERS = {
    "a program": ({}, True),
    "a bookmark": (FOLLOWED | {"Sec-Fetch-Site": "none", "Sec-Fetch-Dest": "document"}, True),
    "a link elsewhere": (FOLLOWED | {"Sec-Fetch-Dest": "document"}, True),
    "code elsewhere": (
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
        True,
    ),
    "our page": ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, True),
    "an image elsewhere": (
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        False,
    ),
    "another port": (
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"},
        False,
    ),
    "a frame elsewhere": (FOLLOWED | {"Sec-Fetch-Dest": "iframe"}, False),
    "a prefetch": ({"Sec-Purpose": "prefetch;prerender"}, False),
    "an old prefetch": ({"Purpose": "prefetch"}, False),
    "a preview": ({"X-Moz": "prefetch"}, False),
}


@pytest.mark.parametrize("asker", ASKERS)
def test_who_is_answered(client, video, youtube, asker):
    headers, answered = ASKERS[asker]
    response = client.get("/predict", params=LINK, headers=headers)
    assert response.status_code == (200 if answered else 400)
    assert bool(youtube.log) == answered


def test_a_head_does_no_work(client, video, youtube):
    response = client.head("/predict", params=LINK)
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, POST"
    assert youtube.log == []
