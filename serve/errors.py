"""Every way a request can fail, and what is said about it.

TopgenreError
├── BadRequest        400 what was asked is wrong: bad_request, bad_url, not_youtube, playlist,
│                         too_long, live, upcoming
├── Unauthorized      401 unauthorized
├── Refused           403 YouTube won't give it to us: private, age_restricted, members_only,
│                         paid, geo_blocked, drm
├── NotFound          404 unavailable, not_found · 405 method_not_allowed
├── SlowClient        408 slow_client
├── BadMedia          413 too_big · 415 unsupported_media · 422 undecodable, too_short, silent
├── Busy              429 overloaded, rate_limited, too_many_requests
├── Internal          500 internal
├── Upstream          502 youtube_error, extractor
├── Unready           503 not_ready, shutting_down, bot_check
└── Timeout           504 timeout

An error's `code` is its identity: child processes send it as text and `from_code` makes the error
again, the HTTP layer takes the status from it, the command line the exit code.
"""

from __future__ import annotations

import errno
from collections.abc import Collection
from typing import ClassVar

from serve.text import safe

#: Whose trouble a failure is: `client` is who asked, `server` is this one, and a service that links
#: lead to goes by its name, such as `youtube`.
Origin = str


class TopgenreError(Exception):
    """A failure with a stable code and a text for a person.

    `status` is the HTTP status; `retryable` says whether the same request may succeed later;
    `retry_after_s` is a hint for it, where there is one; `exit_code` is the command line's.
    `repeats` says that the same track fails in the same way for a while to come; `origin` whose
    trouble it is, which for a timeout is only known at the time.
    """

    code: ClassVar[str]
    status: ClassVar[int]
    retryable: ClassVar[bool] = False
    repeats: ClassVar[bool] = False
    exit_code: ClassVar[int]
    origin: Origin = "server"
    text: ClassVar[str]

    def __init__(self, text: str | None = None, *, retry_after_s: float | None = None) -> None:
        self.message = text or self.text
        self.retry_after_s = retry_after_s
        super().__init__(self.message)


class BadRequest(TopgenreError):
    code, status, exit_code = "bad_request", 400, 2
    origin: Origin = "client"
    text = "The request could not be understood."


class BadUrl(BadRequest):
    code, text = "bad_url", "That is not a link to a video."


class NotYouTube(BadRequest):
    code, text = "not_youtube", "Only YouTube links are accepted."


class Playlist(BadRequest):
    code, text = "playlist", "That is a playlist or a channel; give the link of one video."


class TooLong(BadRequest):
    code, repeats, text = "too_long", True, "The track is longer than the limit."


class Live(BadRequest):
    code, text = "live", "Live streams have no end and can't be classified."


class Upcoming(BadRequest):
    code, retryable, text = "upcoming", True, "The video is not out yet."


class Unauthorized(TopgenreError):
    code, status, exit_code = "unauthorized", 401, 3
    origin: Origin = "client"
    text = "This server asks for an API key."


class Refused(TopgenreError):
    status, exit_code, repeats = 403, 3, True
    origin: Origin = "youtube"


class Private(Refused):
    code, text = "private", "The video is private."


class AgeRestricted(Refused):
    code, text = "age_restricted", "YouTube shows this video to signed-in adults only."


class MembersOnly(Refused):
    code, text = "members_only", "The video is for the channel's members only."


class Paid(Refused):
    code, text = "paid", "The video must be paid for."


class GeoBlocked(Refused):
    code, text = "geo_blocked", "The video is not available in the server's country."


class Drm(Refused):
    code, text = "drm", "The video is protected against copying."


class NotFound(TopgenreError):
    code, status, exit_code = "not_found", 404, 3
    origin: Origin = "client"
    text = "There is nothing at this address."


class MethodNotAllowed(NotFound):
    code, status, text = "method_not_allowed", 405, "This address does not answer that method."


class Unavailable(NotFound):
    code, repeats, text = "unavailable", True, "The video does not exist or was removed."
    origin: Origin = "youtube"


class SlowClient(TopgenreError):
    code, status, exit_code, retryable = "slow_client", 408, 4, True
    origin: Origin = "client"
    text = "The upload is too slow; try again on a faster connection."


class BadMedia(TopgenreError):
    status, exit_code, repeats = 422, 4, True
    origin: Origin = "client"


class TooBig(BadMedia):
    code, status, text = "too_big", 413, "The file is larger than the limit."


class UnsupportedMedia(BadMedia):
    code, status = "unsupported_media", 415
    text = "Send JSON with a url, a form with a file, or the audio itself."


class Undecodable(BadMedia):
    code, text = "undecodable", "No audio could be read from this."


class TooShort(BadMedia):
    code, text = "too_short", "There is too little audio to tell a genre."


class Silent(BadMedia):
    code, text = "silent", "There is only silence in this."


class Busy(TopgenreError):
    status, retryable, exit_code = 429, True, 5


class Overloaded(Busy):
    code, text = "overloaded", "The server is busy; try again in a moment."


class RateLimited(Busy):
    code, text = "rate_limited", "YouTube is limiting this server; try again later."
    origin: Origin = "youtube"


class TooManyRequests(Busy):
    code, text = "too_many_requests", "You have asked too often; try again later."
    origin: Origin = "client"


class Internal(TopgenreError):
    code, status, exit_code = "internal", 500, 1
    text = "Something went wrong on the server."


class Upstream(TopgenreError):
    status, retryable, exit_code = 502, True, 6
    origin: Origin = "youtube"


class YouTubeError(Upstream):
    code, text = "youtube_error", "YouTube did not deliver the audio."


class Extractor(Upstream):
    code, retryable = "extractor", False
    text = "YouTube changed something this server does not understand yet."


class Unready(TopgenreError):
    status, retryable, exit_code = 503, True, 5


class NotReady(Unready):
    code, text = "not_ready", "The server is starting or stopping."


class ShuttingDown(Unready):
    code, text = "shutting_down", "The server is being stopped; try again in a moment."


class BotCheck(Unready):
    code, text = "bot_check", "YouTube asks this server to prove that it is not a bot."
    origin: Origin = "youtube"


class Timeout(TopgenreError):
    code, status, retryable, exit_code = "timeout", 504, True, 5
    text = "It took too long."


# What a process has run out of, for as long as others hold it.
_EXHAUSTED = {
    *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN),
    *(errno.ENOSPC, errno.EDQUOT, errno.ENOBUFS),
}
# When it may be there again, in seconds.
_EXHAUSTED_S = 2.0


def unexpected(error: BaseException) -> TopgenreError:
    """What is said of a failure that has no code: `Overloaded` where a resource has run out."""
    if isinstance(error, TopgenreError):
        return error
    if _is_exhausted(error):
        text = "The server is out of memory, files or disk space; try again later."
        return Overloaded(text, retry_after_s=_EXHAUSTED_S)
    return Internal()


def _is_exhausted(error: BaseException) -> bool:
    # Of threads Python says so in words alone.
    if isinstance(error, MemoryError) or str(error) == "can't start new thread":
        return True
    return isinstance(error, OSError) and error.errno in _EXHAUSTED


def _leaves(cls: type[TopgenreError]) -> list[type[TopgenreError]]:
    own = [cls] if "code" in cls.__dict__ else []
    return own + [leaf for sub in cls.__subclasses__() for leaf in _leaves(sub)]


#: Every error by its code: the only list there is.
ERRORS: dict[str, type[TopgenreError]] = {cls.code: cls for cls in _leaves(TopgenreError)}


def from_code(code: str, text: str | None = None) -> TopgenreError:
    """The error with this code (as sent by a child process); `Internal` for an unknown one."""
    return ERRORS.get(code, Internal)(text)


# Characters of what a child process may say to a person.
_MAX_WORDS = 200


def from_child(code: object, words: object, allowed: Collection[str]) -> TopgenreError:
    """The error that a child process tells of, as far as it is to be believed.

    Internal where the code is not one of its role's; of its words what is safe to show.
    """
    if not isinstance(code, str) or code not in allowed:
        return Internal()
    error = from_code(code, safe(str(words)[:_MAX_WORDS]) or None)
    if isinstance(error, Overloaded):
        error.retry_after_s = _EXHAUSTED_S
    return error
