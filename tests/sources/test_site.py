"""A site that is broken as a whole, or leads elsewhere: the real yt-dlp, in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme

from serve.sources.youtube import egress
from serve.sources.youtube.job import YouTubeOptions
from tests.sources.fetching import fetch
from tests.standin import Handler, StandIn, Video, faults

ID = "AAAAAAAAAAA"
AUDIO = {140: b"m4a " * 1000, 251: b"webm" * 1000}
QUICK = YouTubeOptions(timeout_s=0.2, retries=0)


@dataclass
class Broken:
    """Something wrong with the site as a whole, and the code for it."""

    route: Callable[[Handler], bool]
    code: str
    options: YouTubeOptions = field(default_factory=YouTubeOptions)


def api(answer: Callable[[Handler], bool]) -> Callable[[Handler], bool]:
    """Only the player API is wrong."""
    return lambda handler: handler.request_line.path.endswith("/player") and answer(handler)


SITES = {
    "429": Broken(lambda h: h.reply(429), "rate_limited"),
    "403": Broken(lambda h: h.reply(403), "youtube_error"),
    "500": Broken(lambda h: h.reply(500), "youtube_error"),
    "reset": Broken(lambda h: h.reset(), "youtube_error"),
    "silence": Broken(faults.hang(), "timeout", QUICK),
    "API 429": Broken(api(lambda h: h.reply(429)), "rate_limited"),
    "API 400": Broken(api(lambda h: h.reply(400)), "extractor"),
    "API in HTML": Broken(api(lambda h: h.reply(200, "<html>")), "extractor"),
    "API null": Broken(api(lambda h: h.reply(200, "null")), "extractor"),
    "API elsewhere": Broken(api(faults.redirect("https://evil.test/")), "extractor"),
}


@pytest.mark.parametrize("name", SITES)
def test_broken_site(youtube: StandIn, name: str) -> None:
    youtube.add(Video(ID, AUDIO))
    youtube.route = SITES[name].route
    outcome = fetch(ID, SITES[name].options)
    assert outcome.code == SITES[name].code, outcome.said
    assert youtube.audio() == []


@pytest.mark.parametrize(
    "to",
    [
        "https://evil.test/",
        "http://127.0.0.1:8000/",
        "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
        "//evil.test/watch",
        "https://www.youtube.com@evil.test/",
        "http://www.youtube.com/watch",
    ],
)
def test_redirect_of_the_page_goes_nowhere_else(youtube: StandIn, to: str) -> None:
    youtube.add(Video(ID, AUDIO, watch=faults.redirect(to)))
    assert fetch(ID).audio == AUDIO[140]
    assert {request.host for request in youtube.log} <= {
        "www.youtube.com",
        "rr1---sn-standin.googlevideo.com",
    }


def test_redirect_inside_youtube_is_followed(youtube: StandIn) -> None:
    consent = "https://consent.youtube.com/m?continue=x"
    youtube.add(Video(ID, AUDIO, watch=faults.redirect(consent)))
    assert fetch(ID).audio == AUDIO[140]
    assert "consent.youtube.com" in {request.host for request in youtube.log}


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://www.youtube.com/x", True),
        ("https://rr1---sn.googlevideo.com:443/x", True),
        ("https://www.google.com/sorry", True),
        ("http://www.youtube.com/x", False),
        ("https://www.youtube.com:8443/x", False),
        ("https://user@www.youtube.com/x", False),
        ("https://youtube.com.evil.test/x", False),
        ("https://evilyoutube.com/x", False),
        ("https://[::1/x", False),
        ("https://www.youtube.com:port/x", False),
        ("file:///etc/passwd", False),
        ("", False),
    ],
)
def test_what_is_allowed(url: str, allowed: bool) -> None:
    assert egress.allowed(url) is allowed


def test_certificate_of_somebody_else(
    youtube: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    monkeypatch.setenv("SSL_CERT_FILE", str(other))
    outcome = fetch(ID)
    assert (outcome.code, outcome.text) == ("youtube_error", "YouTube could not be reached.")
    assert youtube.log == []


def test_certifi_is_used_where_nothing_is_set(
    youtube: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    assert fetch(ID).code == "youtube_error"
    assert youtube.log == []
