"""One client's connection, within limits that uvicorn does not have."""

from __future__ import annotations

import asyncio
import json
import math
import uuid
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from serve.errors import BadRequest, Overloaded, TopgenreError
from serve.http.replies import error_body
from serve.settings import Settings

# What a client that is refused has to read that, in seconds.
_LINGER_S = 1.0


class HeldHead:
    """A connection's transport for one answer: its head goes out with what follows it at once.

    To write costs a system call, and mostly wakes the client up: better once than twice.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""
        self._release: asyncio.Handle | None = None

    def write(self, data: bytes) -> None:
        """Write; the first time not before the event loop's next turn."""
        if self._release is None:
            self._head = data
            self._release = self._loop.call_soon(self._flush)
            return
        if self._head:
            self._release.cancel()
            data, self._head = self._head + data, b""
        self._transport.write(data)

    def is_closing(self) -> bool:
        """Whether nothing can be written any more."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Close the connection when everything is written."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        head, self._head = self._head, b""
        if head and not self._transport.is_closing():
            self._transport.write(head)


class BoundedProtocol(HttpToolsProtocol):
    """HTTP/1.1 for clients that may be slow, greedy or many.

    There are at most `max_connections`. A client has `client_timeout_s` seconds to send the head of
    its next request (and what is left of the body of the last one), and as long to take what is
    sent to it. No more than `max_header_bytes` of a request, and what one read brings, may be
    headers or anything else that is no body. How long a body may take is the application's to say.
    """

    def __init__(self, settings: Settings, **given: Any) -> None:
        super().__init__(**given)
        self._settings = settings
        self._asking: asyncio.TimerHandle | None = None
        self._taking: asyncio.TimerHandle | None = None
        self._no_body_bytes = 0
        self._moved_on = False
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or say at once that there are too many; or not even that."""
        super().connection_made(transport)
        self._asking = self._time_limit()
        if len(self.connections) > 2 * self._settings.max_connections:
            transport.abort()
        elif len(self.connections) > self._settings.max_connections:
            self._refuse(Overloaded("There are too many connections.", retry_after_s=1.0))

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._end_asking()
        self._end_taking()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, but not for ever in a head or in trailers."""
        if self._refused or self.transport.is_closing():
            return
        self._moved_on = False
        super().data_received(data)
        self._no_body_bytes = 0 if self._moved_on else self._no_body_bytes + len(data)
        if self._no_body_bytes > self._settings.max_header_bytes:
            self._refuse(BadRequest("The headers are too long."))

    def on_headers_complete(self) -> None:
        """From now on it is the application that limits the time."""
        self._end_asking()
        super().on_headers_complete()
        self.cycle.transport = HeldHead(self.transport, self.loop)  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        """Take note that there is a body."""
        self._moved_on = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Take note that the request is whole."""
        self._moved_on = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request, if it is not there already."""
        super().on_response_complete()
        if self.cycle.response_complete and self._asking is None:
            self._asking = self._time_limit()

    def pause_writing(self) -> None:
        """The client does not take what is sent to it."""
        super().pause_writing()
        self._taking = self._taking or self._time_limit()

    def resume_writing(self) -> None:
        """It does."""
        self._end_taking()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP is refused in the form of all our errors."""
        self._refuse(BadRequest())

    def _time_limit(self) -> asyncio.TimerHandle:
        return self.loop.call_later(self._settings.client_timeout_s, self.transport.abort)

    def _end_asking(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None

    def _end_taking(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def _refuse(self, error: TopgenreError) -> None:
        if self._refused:
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()  # an answer would get into that of the application
            return
        body = json.dumps(error_body(error) | {"request_id": uuid.uuid4().hex}).encode()
        headers = [
            b"content-type: application/json",
            b"content-length: %d" % len(body),
            b"connection: close",
        ]
        if error.retry_after_s is not None:
            headers.append(b"retry-after: %d" % math.ceil(error.retry_after_s))
        head = STATUS_LINE[error.status] + b"\r\n".join(headers) + b"\r\n\r\n"
        self.transport.write(head + body)
        # Closed by us, with something of the client's unread, it would lose what is written.
        self._refused = True
        self.transport.write_eof()
        self._end_asking()
        self._asking = self.loop.call_later(_LINGER_S, self.transport.abort)
