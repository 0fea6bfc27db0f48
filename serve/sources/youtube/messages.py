"""What a downloader is told, one job as a line, and the frames that it answers.

By kind and payload (see `serve.workers.framing`):

    HELD   JSON  what the child is refused (see `serve.workers.sandbox`); the first, or left out
    INFO   JSON  title, duration_s, size_bytes: the video was found and is accepted; sent once
    WAIT   JSON  seconds: YouTube hands the audio over only after this time; may be repeated
    DATA   raw   the next bytes of the audio file
    END    JSON  size_bytes: all of it has been sent; the last frame
    ERROR  JSON  code, text, detail: it failed (`detail` is for the log); the last frame
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, BinaryIO, Self

from serve.durations import MAX_DURATION_S
from serve.errors import Internal, NotReady
from serve.workers import framing

#: Largest payload in bytes; a longer one means that the two ends do not understand each other.
MAX_PAYLOAD = 256 << 10


@dataclass(frozen=True, slots=True)
class YouTubeOptions:
    """How videos are fetched, the same for each of them."""

    max_duration_s: float = MAX_DURATION_S
    """longest video in seconds, inclusive"""
    max_bytes: int = 256 << 20
    """largest audio file in bytes, inclusive"""
    clients: tuple[str, ...] = ()
    """yt-dlp player clients in order; empty is yt-dlp's own choice"""
    proxy: str = field(default="", repr=False)
    """proxy URL, which may hold a password; empty follows HTTPS_PROXY"""
    cookies: Path | None = None
    """file of cookies in Netscape format; read, never written"""
    timeout_s: float = 10.0
    """most seconds YouTube may stay silent on one connection"""
    retries: int = 3
    """times a broken transfer of one video's audio is taken up again"""


@dataclass(frozen=True, slots=True)
class DownloadJob:
    """One video to fetch, on its way to the child as one line of JSON."""

    video_id: str
    options: YouTubeOptions

    def to_line(self) -> bytes:
        """The job as one line, its newline included."""
        said = asdict(self)
        if self.options.cookies:  # the child's working directory is another
            said["options"]["cookies"] = str(self.options.cookies.absolute())
        return json.dumps(said).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """The job that `to_line` wrote; ValueError, KeyError or TypeError for anything else."""
        said = json.loads(line)
        options = said["options"]
        options["clients"] = tuple(options["clients"])
        options["cookies"] = options["cookies"] and Path(options["cookies"])
        return cls(said["video_id"], YouTubeOptions(**options))


class Kind(Enum):
    """What a frame holds; the value is its first byte."""

    HELD = b"H"
    INFO = b"I"
    WAIT = b"W"
    DATA = b"D"
    END = b"E"
    ERROR = b"X"


def write_frame(pipe: BinaryIO, kind: Kind, payload: bytes) -> None:
    """Send one frame at once; blocks while the parent does not read."""
    pipe.write(framing.head(kind.value, len(payload)))
    pipe.write(payload)
    pipe.flush()


def write_json(pipe: BinaryIO, kind: Kind, **payload: Any) -> None:
    """Send one frame with a JSON object."""
    write_frame(pipe, kind, json.dumps(payload).encode())


async def read_frame(reader: asyncio.StreamReader) -> tuple[Kind, bytes]:
    """The next frame; NotReady where the child is gone, Internal where it sends something else."""
    try:
        kind, payload = await framing.read(reader, MAX_PAYLOAD)
        return Kind(kind), payload
    except EOFError:
        raise NotReady("The downloader stopped; try again in a moment.") from None
    except ValueError as error:
        raise Internal("The downloader could not be understood.") from error


def parse_json(payload: bytes, *names: str) -> list[Any]:
    """These members of a frame's JSON object; Internal where it is something else."""
    said = parse_object(payload)
    try:
        return [said[name] for name in names]
    except KeyError as error:
        raise Internal("The downloader could not be understood.") from error


def parse_object(payload: bytes) -> dict[str, Any]:
    """A frame's JSON object; Internal where it is something else."""
    try:
        return dict(json.loads(payload).items())
    except (ValueError, AttributeError, RecursionError) as error:
        raise Internal("The downloader could not be understood.") from error
