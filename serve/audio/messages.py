"""The messages between the server and a decoder process: frames of JSON.

To the decoder: JOB begins a track or a part of one; its media and its features are handed over as
descriptors on a socket of their own. Then GROWN and END tell of the media, UNTIL of the joint
where the part may end, ALONE that nobody else writes features any more.

From it: READY once, with what it is refused (`serve.workers.sandbox`), then for each JOB
PROGRESS, a JOINT or UNSEEKABLE for a part that begins in the middle, PARTED where a joint does not
fit, and one DONE or FAILED. Each carries the `lease` of the JOB that it is about.
"""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

from serve.workers import framing

JOB, GROWN, END, UNTIL, ALONE = b"j", b"g", b"e", b"u", b"a"
READY, PROGRESS, JOINT, UNSEEKABLE, PARTED, DONE, FAILED = (
    *(b"r", b"p", b"t", b"x", b"b"),
    *(b"o", b"f"),
)

Message = tuple[bytes, dict[str, Any]]

#: Seconds that a part has at least; a shorter one would cost more than is won.
PART_S = 40.0
#: What a file says of its length may be wrong by so much.
TOLERATED_S = 0.5

_MAX_BODY = 1 << 16
_RECEIVED_BYTES = 1 << 12


def pack(kind: bytes, **values: Any) -> bytes:
    """One message as bytes."""
    body = json.dumps(values).encode()
    return framing.head(kind, len(body)) + body


async def receive_from(reader: asyncio.StreamReader) -> Message:
    """Wait for the next message. Raise EOFError at the end of the stream."""
    try:
        kind, body = await framing.read(reader, _MAX_BODY)
        values: dict[str, Any] = json.loads(body)
    except (ConnectionError, ValueError, RecursionError) as error:
        raise EOFError from error
    return kind, values


class Channel:
    """The decoder's end: messages that can be waited for, or only looked for."""

    def __init__(self, connected: socket.socket) -> None:
        #: of the job at hand
        self.lease = ""
        self._socket = connected
        self._received = bytearray()

    def send(self, kind: bytes, **values: Any) -> None:
        """Send one message about the job at hand."""
        self._socket.sendall(pack(kind, lease=self.lease, **values))

    def wait(self) -> Message:
        """Wait for the next message. Raise EOFError at the end of the stream."""
        while (message := self._next()) is None:
            self._receive(0)
        return message

    def look(self) -> Message | None:
        """The next message if it is there. Raise EOFError at the end of the stream."""
        if (message := self._next()) is None:
            try:
                self._receive(socket.MSG_DONTWAIT)
            except BlockingIOError:
                return None
            message = self._next()
        return message

    def _receive(self, flags: int) -> None:
        received = self._socket.recv(_RECEIVED_BYTES, flags)
        if not received:
            raise EOFError
        self._received += received

    def _next(self) -> Message | None:
        if (frame := framing.take(self._received)) is None:
            return None
        kind, body = frame
        return kind, json.loads(body)
