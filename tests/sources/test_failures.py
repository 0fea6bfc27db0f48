"""Every row of what yt-dlp was seen to raise, by hand: the classes, attributes and words."""

from __future__ import annotations

import io
import sys

import pytest
from yt_dlp.networking.common import Response  # type: ignore[import-untyped]
from yt_dlp.networking.exceptions import (  # type: ignore[import-untyped]
    CertificateVerifyError,
    HTTPError,
    IncompleteRead,
    ProxyError,
    RequestError,
    TransportError,
)
from yt_dlp.utils import (  # type: ignore[import-untyped]
    DownloadError,
    ExtractorError,
    GeoRestrictedError,
    UnavailableVideoError,
)

from serve.errors import ERRORS, TooLong
from serve.sources.youtube.failures import MAX_TEXT, SLOW, UNREACHED, classify, clean, scrub

HINT = (
    "Use --cookies-from-browser or --cookies for the authentication. See "
    "https://github.com/yt-dlp/yt-dlp/wiki/FAQ for how to manually pass cookies"
)


def wrapped(inner: BaseException | None, text: str | None = None) -> DownloadError:
    """As `YoutubeDL` raises it: the cause inside, the text with a prefix."""
    message = f"ERROR: {inner if text is None else text}"
    return DownloadError(message, (type(inner), inner, None) if inner else (None, None, None))


def said(reason: str, *, expected: bool = True) -> DownloadError:
    return wrapped(ExtractorError(reason, expected=expected, video_id="AAAAAAAAAAA", ie="youtube"))


def http(status: int) -> HTTPError:
    return HTTPError(Response(io.BytesIO(), "https://www.youtube.com/", {}, status))


def default(code: str) -> str:
    return ERRORS[code].text


CASES = [
    # YouTube's reasons
    (
        said("Video unavailable. This video has been removed by the uploader"),
        "unavailable",
        "Video unavailable. This video has been removed by the uploader",
    ),
    (said("Video unavailable"), "unavailable", "Video unavailable"),
    (
        said("This video is no longer available because the account has been terminated."),
        "unavailable",
        "This video is no longer available because the account has been terminated.",
    ),
    (said("This live event has ended."), "unavailable", "This live event has ended."),
    (
        said("This live stream recording is not available."),
        "unavailable",
        "This live stream recording is not available.",
    ),
    (
        said(f"Private video. Sign in if you've been granted access to this video. {HINT}"),
        "private",
        default("private"),
    ),
    (said("Video unavailable. This video is private"), "private", default("private")),
    (
        said("Join this channel to get access to members-only content like this video."),
        "members_only",
        default("members_only"),
    ),
    (
        said("This video is only available to Music Premium members"),
        "paid",
        default("paid"),
    ),
    (said("This video requires payment to watch"), "paid", default("paid")),
    (
        said(f"Sign in to confirm your age. This video may be inappropriate. {HINT}"),
        "age_restricted",
        default("age_restricted"),
    ),
    (
        wrapped(GeoRestrictedError("The uploader has not made this video available", ["DE"])),
        "geo_blocked",
        default("geo_blocked"),
    ),
    (
        said("Video unavailable. It contains content from X, who has blocked it in your country"),
        "geo_blocked",
        default("geo_blocked"),
    ),
    (said(f"Sign in to confirm you’re not a bot. {HINT}"), "bot_check", default("bot_check")),
    (
        said("Something. YouTube is requiring a captcha challenge before playback"),
        "bot_check",
        default("bot_check"),
    ),
    (
        said(
            "This content isn't available, try again later. The current session has been "
            "rate-limited by YouTube for up to an hour."
        ),
        "rate_limited",
        default("rate_limited"),
    ),
    (said("This video is DRM protected"), "drm", default("drm")),
    (said("Premieres in 3 hours"), "upcoming", "Premieres in 3 hours"),
    (
        said("This live event will begin in 3 hours."),
        "upcoming",
        "This live event will begin in 3 hours.",
    ),
    (said("Waiting for Not a Bot"), "upcoming", "Waiting for Not a Bot"),
    (said("Starts in 5 minutes"), "upcoming", "Starts in 5 minutes"),
    (
        said("We're processing this video. Check back later."),
        "upcoming",
        "We're processing this video. Check back later.",
    ),
    (said("Offline."), "live", default("live")),
    (said("This live stream is offline"), "live", default("live")),
    (said("This live stream has ended."), "unavailable", "This live stream has ended."),
    (said("no kids"), "youtube_error", "no kids"),
    (said(""), "youtube_error", default("youtube_error")),
    # yt-dlp at a loss
    (said("No video formats found!", expected=False), "extractor", default("extractor")),
    (
        said("Failed to extract any player response", expected=False),
        "extractor",
        default("extractor"),
    ),
    (
        said("Requested format is not available. Use --list-formats for a list"),
        "extractor",
        default("extractor"),
    ),
    (said("something odd", expected=False), "extractor", default("extractor")),
    (
        wrapped(
            KeyError("INNERTUBE_CONTEXT"),
            "AAAAAAAAAAA: An extractor error has occurred. "
            "(caused by KeyError('INNERTUBE_CONTEXT')); please report this issue on …",
        ),
        "extractor",
        default("extractor"),
    ),
    # the network
    (wrapped(http(403)), "youtube_error", "YouTube answered with HTTP 403."),
    (wrapped(http(404)), "youtube_error", "YouTube answered with HTTP 404."),
    (wrapped(http(416)), "youtube_error", "YouTube answered with HTTP 416."),
    (wrapped(http(500)), "youtube_error", "YouTube answered with HTTP 500."),
    (wrapped(http(429)), "rate_limited", default("rate_limited")),
    (http(503), "youtube_error", "YouTube answered with HTTP 503."),
    (
        wrapped(ProxyError("('Unable to connect to proxy', RemoteDisconnected(…))")),
        "youtube_error",
        UNREACHED,
    ),
    (wrapped(TransportError("Read timed out. (read timeout=1.0)")), "timeout", SLOW),
    (TransportError("Read timed out."), "timeout", SLOW),
    (wrapped(TransportError("Failed to resolve 'www.youtube.com'")), "youtube_error", UNREACHED),
    (wrapped(CertificateVerifyError("CERTIFICATE_VERIFY_FAILED")), "youtube_error", UNREACHED),
    (IncompleteRead(3_000_000, 5_311_573), "youtube_error", UNREACHED),
    (RequestError("file:// URLs are disabled"), "youtube_error", default("youtube_error")),
    # only the text is left
    (
        wrapped(None, "[download] Got error: 3000000 bytes read, 3215445 more expected"),
        "youtube_error",
        UNREACHED,
    ),
    (wrapped(None, "[download] Got error: … Read timed out."), "timeout", SLOW),
    (
        wrapped(None, "[download] Got error: HTTP Error 503: Service Unavailable."),
        "youtube_error",
        default("youtube_error"),
    ),
    # ours
    (TooLong("601 s"), "too_long", "601 s"),
    (UnavailableVideoError(OSError(28, "No space left")), "internal", default("internal")),
    (ValueError("a bug of ours"), "internal", default("internal")),
]


@pytest.mark.parametrize(("error", "code", "text"), CASES)
def test_what_is_raised(error: Exception, code: str, text: str) -> None:
    assert classify(error) == (code, text)


@pytest.mark.parametrize(
    ("warning", "code"),
    [
        ("Unable to download API page: HTTP Error 429: Too Many Requests", "rate_limited"),
        ("Unable to download API page: HTTP Error 403: Forbidden", "youtube_error"),
        ("Unable to download webpage: HTTP Error 502: Bad Gateway", "youtube_error"),
        ("Read timed out. Retrying (1/1)...", "timeout"),
        ("Failed to resolve 'www.youtube.com'", "youtube_error"),
        ("Unable to download API page: HTTP Error 400: Bad Request", "extractor"),
        ("nsig extraction failed", "extractor"),
    ],
)
def test_the_cause_is_in_the_warnings(warning: str, code: str) -> None:
    nothing = said("No video formats found!", expected=False)
    assert classify(nothing, ["something else", warning]).code == code
    removed = said("Video unavailable")
    assert classify(removed, [warning]).code == "unavailable"


def test_every_code_exists() -> None:
    assert {code for _, code, _ in CASES} <= ERRORS.keys()


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("see https://user:word@proxy.test:8/x for more", "see … for more"),
        ("user:word@proxy.test:8 refused", "… refused"),
        ("two\nlines\tand\x1b[31m colour", "two lines and [31m colour"),
        ("a" * 300, "a" * (MAX_TEXT - 1) + "…"),
    ],
)
def test_clean(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


def test_scrub() -> None:
    assert scrub("http://user:word@proxy:8/ failed") == "http://…@proxy:8/ failed"


def test_text_is_for_a_person() -> None:
    try:
        raise ExtractorError("Video unavailable " + "x" * 500, expected=True)
    except ExtractorError as inner:
        text = classify(DownloadError(f"ERROR: {inner}", sys.exc_info())).text
    assert len(text) <= MAX_TEXT
    assert "ERROR" not in text
