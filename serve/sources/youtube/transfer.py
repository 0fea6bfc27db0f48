"""The bytes of a track's audio, range by range.

Imports yt_dlp: for the child only.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import urllib3.exceptions
from yt_dlp.networking import Request  # type: ignore[import-untyped]
from yt_dlp.networking.exceptions import HTTPError, TransportError  # type: ignore[import-untyped]

from serve.errors import TooBig, YouTubeError
from serve.sources.youtube.extract import FoundAudio

#: Bytes asked for at once, as YouTube's own player does; what is asked beyond comes throttled.
RANGE_BYTES = 10 << 20
#: Most bytes handed on at once.
BLOCK_BYTES = 64 << 10
#: Seconds before the first retry; the n-th waits n times as long, each half more or less by chance:
#: transfers that broke together don't come back together.
BACKOFF_S = 0.2

Open = Callable[[Request], Any]


def blocks(open_url: Open, track: FoundAudio, *, max_bytes: int, retries: int) -> Iterator[bytes]:
    """Yield the whole file in order, in blocks as they come, however small.

    A transfer that breaks, or that a server error ends, is taken up again at the next byte,
    `retries` times in all. Raises TooBig, YouTubeError, or what yt-dlp raises.
    """
    position, total, broken = 0, track.size_bytes, 0
    while total is None or position < total:
        end = min(position + RANGE_BYTES, total or max_bytes) - 1
        try:
            with open_url(_request(track, position, end)) as response:
                total = _total(response, position, total)
                if total > max_bytes:
                    raise TooBig(f"The audio has {total} bytes; the limit is {max_bytes}.")
                for block in _body(response, min(end + 1, total) - position):
                    yield block
                    position += len(block)
        except (HTTPError, TransportError) as error:
            broken += 1
            if broken > retries or _is_final(error):
                raise
            time.sleep(BACKOFF_S * broken * random.uniform(0.5, 1.5))  # noqa: S311


def _is_final(error: HTTPError | TransportError) -> bool:
    """Whether asking again would be answered alike; an answer is closed."""
    if isinstance(error, TransportError):
        return False
    error.close()
    return bool(error.status < 500)


def _request(track: FoundAudio, start: int, end: int) -> Request:
    headers = {**track.headers, "Accept-Encoding": "identity", "Range": f"bytes={start}-{end}"}
    return Request(track.url, headers=headers)


def _total(response: Any, position: int, announced: int | None) -> int:
    """The size of the whole file in bytes, by a response that must be the range asked for."""
    given = response.get_header("Content-Range") or ""
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", given)
    if response.status != 206 or not match or int(match[1]) != position:
        raise YouTubeError("YouTube sent something other than the audio.")
    total = int(match[2])
    if announced is not None and total != announced:
        raise YouTubeError(f"YouTube sent {total} bytes of audio where {announced} were announced.")
    return total


def _body(response: Any, expected: int) -> Iterator[bytes]:
    """Yield the `expected` bytes of a response as they arrive; TransportError if they don't.

    `response.read(n)` would keep what has come back until it has n bytes, which on a slow line
    is for ever; `read1` of the object below hands on what is there.
    """
    while expected:
        try:
            block = response.fp.read1(min(BLOCK_BYTES, expected))
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise TransportError(cause=error) from error
        if not block:
            raise TransportError(f"{expected} more expected")
        yield block
        expected -= len(block)
