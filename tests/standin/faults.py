"""Ready-made ways for the audio, or for any answer, to go wrong."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

from tests.standin.videos import Answer, Fault

if TYPE_CHECKING:
    from tests.standin.server import Handler


def times(count: int, fault: Fault) -> Fault:
    """This fault for the first `count` requests, none afterwards."""
    counter = itertools.count(1)
    return lambda handler, *asked: next(counter) <= count and fault(handler, *asked)


def status(code: int) -> Fault:
    """An HTTP status instead of audio."""
    return lambda handler, *_: handler.reply(code)


def html(code: int = 200) -> Fault:
    """A page instead of audio."""
    return lambda handler, *_: handler.reply(code, "<html>no audio</html>")


def short(total: int) -> Fault:
    """A file of `total` bytes, whatever was announced."""

    def fault(handler: Handler, media: bytes, start: int, end: int) -> bool:
        end = min(end, total - 1)
        handler.audio_head(start, end, total)
        handler.send(media[start : end + 1])
        return True

    return fault


def cut(after: int) -> Fault:
    """An answer of `after` bytes that says it is the whole range."""

    def fault(handler: Handler, media: bytes, start: int, end: int) -> bool:
        handler.audio_head(start, end, len(media), length=after)
        handler.send(media[start : start + after])
        return True

    return fault


def close(after: int) -> Fault:
    """Promise the whole range, send `after` bytes, and close in good order."""

    def fault(handler: Handler, media: bytes, start: int, end: int) -> bool:
        handler.audio_head(start, end, len(media))
        handler.send(media[start : start + after])
        handler.close_connection = True
        return True

    return fault


def reset(after: int) -> Fault:
    """Likewise, but the connection is reset, which may swallow some of the bytes sent."""

    def fault(handler: Handler, media: bytes, start: int, end: int) -> bool:
        handler.audio_head(start, end, len(media))
        handler.send(media[start : start + after])
        return handler.reset()

    return fault


def stall(after: int) -> Fault:
    """Send `after` bytes, then nothing, until the other side hangs up."""

    def fault(handler: Handler, media: bytes, start: int, end: int) -> bool:
        handler.audio_head(start, end, len(media))
        handler.send(media[start : start + after])
        return handler.wait_for_hangup()

    return fault


def drip(size: int, every_s: float) -> Fault:
    """Send `size` bytes every `every_s` seconds, until the other side hangs up."""

    def fault(handler: Handler, media: bytes, start: int, end: int) -> bool:
        handler.audio_head(start, end, len(media))
        for at in range(start, end + 1, size):
            handler.send(media[at : min(at + size, end + 1)])
            time.sleep(every_s)
        return True

    return fault


def redirect(to: str) -> Answer:
    """To another address; `Location` as given."""
    return lambda handler: handler.reply(302, location=to)


def hang() -> Answer:
    """Accept the request and never answer."""
    return lambda handler: handler.wait_for_hangup()
