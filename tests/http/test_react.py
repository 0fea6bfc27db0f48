"""The React front end that was there before this server: what it fetches, and what it reads.

It runs on another origin and does exactly this:

    fetch("http://localhost:5000/predict", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ url }),
    }).then((response) => response.json())
      .then((data) => data.error ? showError(data.error)
                                 : show(data.video_title, data.top_prediction, data.results))
"""

import json

import pytest

from serve.durations import MAX_DURATION_S, spoken
from serve.settings import Settings
from tests.http.posts import SONG
from tests.server import running_server
from tests.standin import Video

ID = "dQw4w9WgXcQ"
ORIGIN = "http://localhost:3000"
# As Chromium sends them. Localhost's ports are one site, and several origins.
BROWSER = {
    "Origin": ORIGIN,
    "Referer": f"{ORIGIN}/",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Dest": "empty",
}


class Refused(Exception):
    """What a browser makes of it: `TypeError: Failed to fetch`."""


def fetch(client, url, site="same-site"):
    """The front end's fetch, with a browser's part in it (Fetch, sections 4.8 and 4.9)."""
    browser = BROWSER | {"Sec-Fetch-Site": site}
    # JSON is not a type that may be sent unasked, so that the browser asks before.
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    preflight = client.options("/predict", headers=browser | asked)
    allowed = preflight.headers.get("access-control-allow-origin")
    methods = preflight.headers.get("access-control-allow-methods", "")
    names = preflight.headers.get("access-control-allow-headers", "").lower()
    if not (
        preflight.is_success
        and allowed in ("*", ORIGIN)
        and "POST" in methods.replace(" ", "").split(",")
        and "content-type" in names.replace(" ", "").split(",")
    ):
        raise Refused
    body = json.dumps({"url": url}, separators=(",", ":"))
    headers = browser | {"Content-Type": "application/json"}
    response = client.post("/predict", content=body, headers=headers)
    if response.headers.get("access-control-allow-origin") not in ("*", ORIGIN):
        raise Refused
    # Isolation of other kinds would keep the answer from the page as well.
    assert response.headers.get("cross-origin-resource-policy") in (None, "cross-origin")
    return response.json()


def test_it_is_where_the_front_end_looks():
    assert Settings.model_fields["port"].default == 5000
    assert Settings.model_fields["host"].default == "127.0.0.1"
    assert Settings.model_fields["cors_origins"].default == ("*",)
    assert Settings.model_fields["api_keys"].default == ()


@pytest.mark.parametrize("site", ["same-site", "cross-site"])
def test_an_answer_has_what_it_reads(client, youtube, site):
    youtube.add(Video(ID, {140: SONG}, title="A <b>song</b> ♫", length=20))
    data = fetch(client, f"https://www.youtube.com/watch?v={ID}&list=RD{ID}", site)
    assert "error" not in data
    assert data["video_title"] == "A <b>song</b> ♫"
    assert isinstance(data["top_prediction"], str)
    # It draws them in the order in which they come: the greatest first, in percent.
    shares = list(data["results"].items())
    assert shares[0][0] == data["top_prediction"]
    assert all(isinstance(share, float) for _, share in shares)
    assert [share for _, share in shares] == sorted(data["results"].values(), reverse=True)
    assert sum(share for _, share in shares) == pytest.approx(100)


LONG_S = MAX_DURATION_S + 1


@pytest.mark.parametrize(
    ("url", "video", "text"),
    [
        ("https://vimeo.com/1", None, "Only YouTube links are accepted."),
        ("", None, "That is not a link to a video."),
        (f"https://youtu.be/{ID}", None, "Video unavailable"),
        (f"https://youtu.be/{ID}", Video(ID, length=LONG_S), f"The video is {spoken(LONG_S)} long"),
    ],
)
def test_a_failure_is_a_text_under_error(client, youtube, url, video, text):
    if video:
        youtube.add(video)
    assert fetch(client, url)["error"].startswith(text)


def test_a_failure_of_ours_can_be_read_too(client, monkeypatch):
    async def broken(*_):
        raise RuntimeError("broken")

    monkeypatch.setattr("serve.http.predict.track.classify_request", broken)
    assert fetch(client, "x")["error"] == "Something went wrong on the server."


def test_the_browsers_part_can_refuse(tiny_model):
    with (
        running_server(model=tiny_model, decoders=1, cors_origins=["http://other.test"]) as server,
        server.client() as client,
        pytest.raises(Refused),
    ):
        fetch(client, "x")
