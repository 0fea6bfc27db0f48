"""Hostile files, one of each kind, with all of the server around the decoders."""

from __future__ import annotations

import pytest

from tests.corpus.decoding import traces
from tests.corpus.test_corpus import CASES
from tests.eventually import until
from tests.server import running_server

SERVED = (
    *("whole mp3", "mp3 cut at 0.1", "m4a-index-last cut at 0.9", "opus-webm cut at 0.5"),
    *("flac with 0.001 of its bits flipped", "wma with a broken head", "wav of 0 Hz"),
    *("wav of 65535 channels", "wav of 4294967295 Hz", "floats with (nan, inf, -inf)"),
    *("floats of 3e+38", "doubles that no float can hold", "nothing but NaN"),
    *("hours of silent flac", "hours of silent mp3", "video alone", "fifty streams of audio"),
    *("mp3 behind a tag of 8 MB", "nothing", "noise", "ELF", "PNG bomb", "gzip bomb", "HTML"),
)


@pytest.fixture(scope="module")
def server(tiny_model):
    with running_server(model=tiny_model, decoders=2) as running:
        yield running


@pytest.mark.parametrize("name", SERVED)
def test_the_server_answers_each_of_them(server, name):
    with server.client() as client:
        reply = client.post(
            "/predict",
            content=CASES[name].make(),
            # Whatever it calls itself: only its bytes count.
            headers={"Content-Type": "audio/mpeg", "X-Filename": "song.mp3"},
        )
    body = reply.json()
    assert body.get("code", "ok") in CASES[name].expected
    assert (reply.status_code == 200) == ("code" not in body)
    if reply.status_code == 200:
        assert sum(body["results"].values()) == pytest.approx(100, abs=0.1)


def test_nothing_is_left_of_any_of_them(server):
    def post_all():
        with server.client() as client:
            for name in ("zip", *SERVED[:12]):
                client.post("/predict", content=CASES[name].make(), headers=OCTETS)
        until(lambda: server.pipeline.parts.pool.alive == 2)

    post_all()
    before = traces()
    post_all()
    until(lambda: traces() <= before)
    assert server.metric("topgenre_requests_active") == 0


OCTETS = {"Content-Type": "application/octet-stream"}
