"""The frames that the child sends to its parent.

By kind and payload (see `serve.workers.framing`):

    HELD   JSON  what the child is refused (see `serve.workers.refused`); the first, or left out
    INFO   JSON  title, duration_s, size_bytes: the video was found and is accepted; sent once
    WAIT   JSON  seconds: YouTube hands the audio over only after this time; may be repeated
    DATA   raw   the next bytes of the audio file
    END    JSON  size_bytes: all of it has been sent; the last frame
    ERROR  JSON  code, text, detail: it failed (`detail` is for the log); the last frame
"""

from __future__ import annotations

import asyncio
import json
from enum import Enum
from typing import Any, BinaryIO

from serve.errors import Internal, NotReady
from serve.workers import framing

#: Largest payload in bytes; a longer one means that the two ends do not understand each other.
MAX_PAYLOAD = 256 << 10


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
