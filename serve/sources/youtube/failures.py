"""What yt-dlp raises, told as one of the server's own failures.

yt-dlp wraps nearly everything in `DownloadError`; the cause is inside it, in its text, or (for
HTTP errors of YouTube's API) only in the warnings before it. Imports yt_dlp: for the child only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from yt_dlp.networking.exceptions import (  # type: ignore[import-untyped]
    HTTPError,
    RequestError,
    TransportError,
)
from yt_dlp.utils import (  # type: ignore[import-untyped]
    DownloadError,
    ExtractorError,
    GeoRestrictedError,
)

from serve.errors import ERRORS, TopgenreError
from serve.text import safe

#: Longest text for a person, in characters.
MAX_TEXT = 200

UNREACHED = "YouTube could not be reached."
SLOW = "YouTube did not answer in time."


class Cause(NamedTuple):
    """A code of `serve.errors` and a text for a person."""

    code: str
    text: str


#: (code, pattern on the message in lower case); the first hit wins, so the special come first.
RULES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (code, re.compile(pattern))
    for code, pattern in (
        # First of all, since the name of a channel follows.
        ("upcoming", r"^waiting for "),
        ("extractor", r"requested format is not available"),
        ("bot_check", r"not a bot|captcha challenge"),
        ("rate_limited", r"rate-limited by youtube|http error 429"),
        ("age_restricted", r"confirm your age|age-restricted|inappropriate for some users"),
        ("private", r"private video|video is private"),
        ("members_only", r"members-only|join this channel|channel's members"),
        ("paid", r"premium members|requires payment|purchase|rental|to rent"),
        (
            "upcoming",
            r"premieres in|premiere will begin|will begin (in|shortly|soon)|scheduled for"
            r"|starts in |(still|being|we're) process(ing|ed)|check back later",
        ),
        ("live", r"^((the )?live ?stream )?(is )?(currently )?offline\b|is (currently )?offline"),
        (
            "unavailable",
            r"live (event|stream) has ended|live stream recording is not available",
        ),
        ("drm", r"drm protected"),
        ("geo_blocked", r"in your country|not available in your (country|region|location)"),
        (
            "unavailable",
            r"video unavailable|video (has been|was) removed|no longer available|terminated"
            r"|isn't available|is not available|does not exist",
        ),
        ("timeout", r"timed out"),
        (
            "unreached",
            r"failed to resolve|unable to connect|connection refused|connection (was )?reset"
            r"|remote end closed|more expected|certificate_verify_failed|network is unreachable",
        ),
        ("youtube_error", r"http error \d\d\d"),
        (
            "extractor",
            r"no video formats found|failed to extract any player response"
            r"|an extractor error has occurred|all player responses are invalid"
            r"|please report this issue",
        ),
    )
)

#: What the warnings say where the exception only says that nothing came of it.
HIDDEN: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (code, re.compile(pattern))
    for code, pattern in (
        ("rate_limited", r"http error 429"),
        ("youtube_error", r"http error (403|5\d\d)"),
        ("timeout", r"timed out"),
        ("unreached", r"failed to resolve|unable to connect|connection"),
    )
)

#: Failures that YouTube's own words explain better than ours; the others' words speak to somebody
#: who sits before yt-dlp, or before a browser in the server's country.
OWN_WORDS = frozenset({"unavailable", "upcoming"})


def classify(error: BaseException, warnings: Iterable[str] = ()) -> Cause:
    """The failure that this exception is, in the light of what yt-dlp warned of before it."""
    if isinstance(error, TopgenreError):
        return Cause(error.code, error.message)
    inner = _inner(error)
    if isinstance(inner, HTTPError):
        return _http(int(inner.status))
    said = _said(error, inner)
    code = _code(error, inner, said)
    if code == "extractor":
        code = _match(HIDDEN, " ".join(warnings)) or code
    if code in OWN_WORDS or (code == "youtube_error" and _expected(inner)):
        return Cause(code, said or ERRORS[code].text)
    return _plain(code)


def clean(text: str) -> str:
    """Text from outside as one line of at most `MAX_TEXT` characters, without links."""
    text = re.sub(r"\S*://\S*|\S*@\S*", "…", text)
    text = " ".join(safe(text, " ").split())
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def scrub(text: str) -> str:
    """Text for the log, without the user names and passwords in its URLs."""
    return re.sub(r"//[^/@\s]+@", "//…@", text)


def _inner(error: BaseException) -> BaseException:
    """The exception inside a DownloadError, or the error itself where it holds none."""
    info = error.exc_info if isinstance(error, DownloadError) else None
    return info[1] if info and info[1] is not None else error


def _said(error: BaseException, inner: BaseException) -> str:
    """The reason in yt-dlp's message, without its prefix and its advice on options."""
    text = getattr(inner, "orig_msg", None) or str(error)
    text = re.sub(r"^ERROR:\s*(\[[^\]]+\] [\w-]{11}: )?", "", text)
    advice = r"[;.]? (please report this issue|Use --|You might want to use|\(caused by )"
    return clean(re.split(advice, text, maxsplit=1)[0])


def _code(error: BaseException, inner: BaseException, said: str) -> str:
    if isinstance(inner, GeoRestrictedError):
        return "geo_blocked"
    known = _match(RULES, f"{said} {error}")
    if isinstance(inner, TransportError):
        return "timeout" if known == "timeout" else "unreached"
    if known:
        return known
    if isinstance(inner, ExtractorError):
        return "youtube_error" if _expected(inner) else "extractor"
    return "youtube_error" if isinstance(inner, RequestError) else "internal"


def _expected(inner: BaseException) -> bool:
    """Whether it is YouTube that refuses, in words of its own, not yt-dlp that is at a loss."""
    return isinstance(inner, ExtractorError) and bool(inner.expected)


def _match(rules: tuple[tuple[str, re.Pattern[str]], ...], text: str) -> str | None:
    text = text.lower()
    return next((code for code, pattern in rules if pattern.search(text)), None)


def _http(status: int) -> Cause:
    if status == 429:
        return _plain("rate_limited")
    return Cause("youtube_error", f"YouTube answered with HTTP {status}.")


def _plain(code: str) -> Cause:
    """The failure in our own words; `unreached` is a youtube_error with words of its own."""
    if code == "unreached":
        return Cause("youtube_error", UNREACHED)
    return Cause(code, SLOW if code == "timeout" else ERRORS[code].text)
