"""`GET /predict?url=`: the same answers, by a link; and who gets none."""

import pytest

from tests.http.posts import SONG, events_of
from tests.server import running_server
from tests.standin import Video

ID = "dQw4w9WgXcQ"
LINK = {"url": f"https://youtu.be/{ID}"}


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


def heard(client, url, last_id=None):
    """What an EventSource hears (WHATWG HTML, 9.2.6): the status, events and the id it then has."""
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
    response = client.get("/predict", params={"url": url}, headers=headers)
    names = []
    for line in response.text.splitlines():
        field, _, value = line.partition(": ")
        last_id = value if field == "id" else last_id
        names += [value] if field == "event" else []
    return response.status_code, names, last_id


@pytest.mark.parametrize("url", [LINK["url"], "https://vimeo.com/1"])
def test_an_event_source_hears_the_end_once(client, video, youtube, url):
    status, names, last_id = heard(client, url)
    assert status == 200
    assert names[-1] in ("result", "error")
    assert last_id
    asked = len(youtube.log)
    assert heard(client, url, last_id) == (204, [], last_id)
    assert len(youtube.log) == asked


def test_the_end_of_a_stream_does_not_count(tiny_model):
    with (
        running_server(model=tiny_model, decoders=1, address_rate="1/hour") as server,
        server.client() as client,
    ):
        _, _, last_id = heard(client, "https://vimeo.com/1")
        assert [heard(client, "x", last_id)[0] for _ in range(3)] == [204] * 3
        assert heard(client, "https://vimeo.com/1")[0] == 429
        headers = {"Last-Event-ID": last_id}
        batch = client.post("/predict/batch", json={"urls": ["x"]}, headers=headers)
        assert batch.status_code == 429


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
