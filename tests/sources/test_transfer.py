"""The audio, whole or broken: the real yt-dlp in this process."""

from __future__ import annotations

import random

import pytest

from serve.sources.youtube import transfer
from serve.sources.youtube.job import YouTubeOptions
from serve.sources.youtube.messages import Kind
from tests.sources.fetching import fetch
from tests.standin import StandIn, Video, faults
from tests.standin.videos import Fault

ID = "AAAAAAAAAAA"
#: visionos alone spares the start of deno, which has nothing to do with the audio.
PLAIN = YouTubeOptions(clients=("visionos",), timeout_s=5)
M4A, WEBM = random.Random(140).randbytes(300_000), random.Random(251).randbytes(200_000)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "BACKOFF_S", 0.0)


def options(**changes: object) -> YouTubeOptions:
    return YouTubeOptions(**{"clients": PLAIN.clients, "timeout_s": 5.0, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("media", "expected"),
    [({140: M4A, 251: WEBM}, M4A), ({251: WEBM}, WEBM), ({139: M4A[:9], 249: WEBM}, M4A[:9])],
)
def test_byte_for_byte(youtube: StandIn, media: dict[int, bytes], expected: bytes) -> None:
    youtube.add(Video(ID, media))
    outcome = fetch(ID, PLAIN)
    assert outcome.audio == expected
    assert outcome.kinds[0] is Kind.INFO
    assert outcome.said[Kind.INFO]["size_bytes"] == len(expected)
    assert [r.range for r in youtube.audio()] == [f"bytes=0-{len(expected) - 1}"]


@pytest.mark.parametrize("announced", [True, False])
def test_ranges(youtube: StandIn, announced: bool) -> None:
    body = M4A * 36  # a little more than one range
    youtube.add(Video(ID, {140: body}, content_length=announced))
    assert fetch(ID, PLAIN).audio == body
    last = len(body) - 1
    assert [r.range for r in youtube.audio()] == ["bytes=0-10485759", f"bytes=10485760-{last}"]


BROKEN: dict[str, tuple[Fault, str | None, int]] = {
    # fault, code (None: it succeeds), requests for audio
    "500 once": (faults.times(1, faults.status(500)), None, 2),
    "503 for ever": (faults.status(503), "youtube_error", 4),
    "403": (faults.status(403), "youtube_error", 1),
    "404": (faults.status(404), "youtube_error", 1),
    "416": (faults.status(416), "youtube_error", 1),
    "429": (faults.status(429), "rate_limited", 1),
    "closed once": (faults.times(1, faults.close(100_000)), None, 2),
    "closed for ever": (faults.close(1000), "youtube_error", 4),
    "closed before the first byte": (faults.close(0), "youtube_error", 4),
    "reset once": (faults.times(1, faults.reset(100_000)), None, 2),
    "reset for ever": (faults.reset(1000), "youtube_error", 4),
    "cut": (faults.cut(1000), "youtube_error", 4),
    "short": (faults.short(100_000), "youtube_error", 1),
    "HTML with 200": (faults.html(200), "youtube_error", 1),
    "HTML with 206": (faults.html(206), "youtube_error", 1),
    "elsewhere": (lambda h, *_: h.reply(302, location="https://evil.test/"), "youtube_error", 1),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken(youtube: StandIn, name: str) -> None:
    fault, code, requests = BROKEN[name]
    youtube.add(Video(ID, {140: M4A}, fault=fault))
    outcome = fetch(ID, PLAIN)
    assert outcome.code == code, outcome.said
    assert len(youtube.audio()) == requests
    assert M4A.startswith(outcome.audio)
    if code is None:
        assert outcome.audio == M4A


def test_resumes_at_the_next_byte(youtube: StandIn) -> None:
    youtube.add(Video(ID, {140: M4A}, fault=faults.times(2, faults.close(100_000))))
    assert fetch(ID, PLAIN).audio == M4A
    last = len(M4A) - 1
    assert [r.range for r in youtube.audio()] == [
        f"bytes=0-{last}",
        f"bytes=100000-{last}",
        f"bytes=200000-{last}",
    ]


@pytest.mark.parametrize("retries", [0, 2])
def test_retries_are_a_setting(youtube: StandIn, retries: int) -> None:
    youtube.add(Video(ID, {140: M4A}, fault=faults.close(10)))
    assert fetch(ID, options(retries=retries)).code == "youtube_error"
    assert len(youtube.audio()) == retries + 1


def test_silence_ends_in_time(youtube: StandIn) -> None:
    youtube.add(Video(ID, {140: M4A}, fault=faults.stall(1000)))
    outcome = fetch(ID, options(timeout_s=1.0, retries=1))
    assert outcome.code == "timeout"
    assert [r.range for r in youtube.audio()] == ["bytes=0-299999", "bytes=1000-299999"]
    assert outcome.audio == M4A[:2000]


def test_small_blocks_are_not_held_back(youtube: StandIn) -> None:
    youtube.add(Video(ID, {140: M4A[:2000]}, fault=faults.drip(100, 0.005)))
    outcome = fetch(ID, PLAIN)
    assert outcome.audio == M4A[:2000]
    assert outcome.kinds.count(Kind.DATA) >= 5


def test_unannounced_size_is_limited(youtube: StandIn) -> None:
    youtube.add(Video(ID, {140: M4A}, content_length=False))
    outcome = fetch(ID, options(max_bytes=len(M4A) - 1))
    assert (outcome.code, outcome.audio) == ("too_big", b"")
    assert fetch(ID, options(max_bytes=len(M4A))).audio == M4A
