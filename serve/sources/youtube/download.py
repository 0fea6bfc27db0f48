"""A YouTube video as a source of audio."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from math import inf
from typing import Any, ClassVar, Self

from serve.errors import (
    ERRORS,
    Extractor,
    Internal,
    Origin,
    Timeout,
    TopgenreError,
    YouTubeError,
    from_child,
)
from serve.sources.stream import SourceInfo
from serve.sources.youtube.downloader import Running, Start, running, spawn
from serve.sources.youtube.messages import (
    DownloadJob,
    Kind,
    YouTubeOptions,
    parse_json,
    parse_object,
    read_frame,
)
from serve.text import safe

logger = logging.getLogger(__name__)
_MAX_TITLE = 500
# What a downloader may say: YouTube's failures, and what it is told to look out for.
_CODES = {code for code, of in ERRORS.items() if of.origin == "youtube"} | {
    *("too_long", "too_big", "live", "upcoming", "timeout", "internal", "overloaded"),
}


@dataclass(frozen=True, slots=True)
class YouTubeSource:
    """The audio of one video, by its 11-character id (see `url.video_id`).

    `start` starts its downloader; a `Launcher` has a faster way than the default. `told` hears what
    that is refused (see `serve.workers.sandbox`). It sets no deadline of its own: put
    `asyncio.timeout` around its use.
    """

    video_id: str
    options: YouTubeOptions = field(default_factory=YouTubeOptions)
    start: Start = spawn
    told: Callable[[dict[str, Any]], None] = lambda confinement: None
    origin: ClassVar[Origin] = "youtube"
    #: the first part of its identity
    kind: ClassVar[str] = "youtube"

    @property
    def identity(self) -> tuple[str, str]:
        """The video's, whatever the link looked like."""
        return self.kind, self.video_id

    @asynccontextmanager
    async def open(self) -> AsyncIterator[YouTubeStream]:
        """Find the video and begin to download it; leaving kills what downloads, at once.

        Raises a TopgenreError that says why it can't be had: see `failures`.
        """
        async with running(DownloadJob(self.video_id, self.options), self.start) as child:
            kind, payload = await read_frame(child.reader)
            if kind is Kind.HELD:
                self.told(parse_object(payload))
                kind, payload = await read_frame(child.reader)
            if kind is Kind.ERROR:
                raise _error(self.video_id, payload)
            if kind is not Kind.INFO:
                raise Internal("The downloader could not be understood.")
            yield YouTubeStream(self.video_id, _info(payload), child)


class YouTubeStream:
    """An opened video: its description, then the bytes of its audio file in order, once.

    While iterated it raises a TopgenreError where the download fails.
    """

    def __init__(self, video_id: str, info: SourceInfo, child: Running) -> None:
        self._video_id = video_id
        self._info = info
        self._child = child
        self._received = 0
        self._ended = False

    @property
    def info(self) -> SourceInfo:
        """Title, duration and size, as YouTube states them."""
        return self._info

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._ended:
            kind, payload = await read_frame(self._child.reader)
            if kind is Kind.DATA:
                self._received += len(payload)
                return payload
            if kind is not Kind.WAIT:
                self._ended = True
                self._child.end()  # now, so that nobody has to wait for it later
                self._end(kind, payload)
        raise StopAsyncIteration

    def _end(self, kind: Kind, payload: bytes) -> None:
        """Check that the last frame is a good end."""
        if kind is Kind.ERROR:
            raise _error(self._video_id, payload)
        if kind is not Kind.END or parse_json(payload, "size_bytes") != [self._received]:
            raise Internal("The downloader could not be understood.")


def _info(payload: bytes) -> SourceInfo:
    """What an INFO frame says of a video, as far as it can be meant."""
    title, duration_s, size_bytes = parse_json(payload, "title", "duration_s", "size_bytes")
    numbers = (duration_s, size_bytes)
    if not all(of is None or (isinstance(of, int | float) and 0 <= of < inf) for of in numbers):
        raise Internal("The downloader could not be understood.")
    return SourceInfo(safe(str(title)[:_MAX_TITLE]), duration_s, size_bytes)


def _error(video_id: str, payload: bytes) -> TopgenreError:
    """The error in an ERROR frame; of those that need an operator the log gets the detail."""
    code, text, detail = parse_json(payload, "code", "text", "detail")
    error = from_child(code, text, _CODES)
    if isinstance(error, Timeout):
        error.origin = YouTubeSource.origin
    if isinstance(error, Internal | Extractor | YouTubeError):
        logger.warning("video %s: %s: %.1000r", video_id, error.code, detail)
    return error
