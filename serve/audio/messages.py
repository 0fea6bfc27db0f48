"""The messages between the server and a decoder process: a kind, a length, a body.

To the decoder: JOB (no body), DATA (encoded bytes) and END for each track. From it: READY once,
then for each track PROGRESS and one DONE (both JSON) or FAILED (JSON: code, text).
"""

from __future__ import annotations

import asyncio
import json
import struct
from typing import IO, Any

JOB, DATA, END = b"j", b"d", b"e"
READY, PROGRESS, DONE, FAILED = b"r", b"p", b"o", b"f"

_HEADER = struct.Struct("!cI")
_MAX_BODY = 1 << 20


def pack(kind: bytes, body: bytes = b"") -> bytes:
    """One message as bytes; the body may have at most 1 MiB."""
    if len(body) > _MAX_BODY:
        raise ValueError(f"a message of {len(body)} bytes")
    return _HEADER.pack(kind, len(body)) + body


def pack_json(kind: bytes, **values: Any) -> bytes:
    """One message whose body is JSON."""
    return pack(kind, json.dumps(values).encode())


def receive(file: IO[bytes]) -> tuple[bytes, bytes]:
    """Wait for the next message: kind, body. Raise EOFError at the end of the stream."""
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        raise EOFError
    kind, length = _HEADER.unpack(header)
    body = file.read(length)
    if len(body) < length:
        raise EOFError
    return kind, body


async def receive_from(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Wait for the next message: kind, body. Raise EOFError at the end of the stream."""
    try:
        kind, length = _HEADER.unpack(await reader.readexactly(_HEADER.size))
        if length > _MAX_BODY:
            raise EOFError(f"a message of {length} bytes")
        return kind, await reader.readexactly(length)
    except ConnectionError as error:
        raise EOFError from error
