"""The frames of a pipe or socket between the server and a child process.

A frame is a kind (1 byte), the length of its payload (4 bytes, big-endian), and the payload. The
kinds and their payloads are defined in `serve.audio.messages` and
`serve.sources.youtube.messages`.
"""

from __future__ import annotations

import asyncio
import struct

_HEAD = struct.Struct("!cI")


def head(kind: bytes, size: int) -> bytes:
    """The header of a frame whose payload has `size` bytes."""
    return _HEAD.pack(kind, size)


async def read(reader: asyncio.StreamReader, most: int) -> tuple[bytes, bytes]:
    """The kind and the payload of the next frame.

    Raises EOFError if the stream ends before that, and ValueError if the payload has more than
    `most` bytes, which means that the two ends are out of step.
    """
    kind, size = _HEAD.unpack(await reader.readexactly(_HEAD.size))
    if size > most:
        raise ValueError(f"a frame of {size} bytes")
    return kind, await reader.readexactly(size)


def take(received: bytearray) -> tuple[bytes, bytes] | None:
    """Remove the first whole frame from `received` and return it; None if there is none yet."""
    if len(received) < _HEAD.size:
        return None
    kind, size = _HEAD.unpack_from(received)
    end = _HEAD.size + size
    if len(received) < end:
        return None
    payload = bytes(received[_HEAD.size : end])
    del received[:end]
    return kind, payload
