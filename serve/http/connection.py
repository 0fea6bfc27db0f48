"""One client's connection, with limits that uvicorn lacks."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import math
import uuid
from collections import deque
from collections.abc import Callable
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from serve.answer import Failure
from serve.errors import BadRequest, Overloaded, TopgenreError
from serve.http.addresses import network_of, plain
from serve.http.held_head import HeldHead
from serve.settings import Settings

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

# Seconds that a refused client has to read the refusal.
_LINGER_S = 1.0
# Most pipelined requests of a connection; what follows them is parsed later.
_MAX_WAITING = 8
# Bytes parsed at a time where requests may begin: some thirty of the shortest.
_STEP_BYTES = 512
# Connections beyond the limit, reserved for health checks and metrics.
_RESERVE = 16
_RESERVED = (b"/health/", b"/metrics")
_BODYLESS = {b"GET", b"HEAD"}
_UPGRADE = {b"upgrade", b"http2-settings"}


class Flow(FlowControl):
    """Flow control that reads nothing while `held`, even if asked to resume."""

    held = False

    def resume_reading(self) -> None:
        """Resume reading, unless held."""
        if not self.held:
            super().resume_reading()


class Turns:
    """Starts one callback in each turn of the event loop, so that others run in between."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], object]] = deque()

    def wait(self, begin: Callable[[], object]) -> None:
        """Queue a callback."""
        self._waiting.append(begin)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        self._waiting[0]()
        self._waiting.popleft()
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._next)


class BoundedProtocol(HttpToolsProtocol):
    """HTTP/1.1 for clients that may be slow, greedy or many.

    There are at most `max_connections` connections, and `client_connections` from one address
    (except trusted proxies), plus a few that are reserved for health checks and metrics. A client
    has `client_timeout_s` seconds to send the head of its next request (and the rest of the last
    request's body), and as long to accept what it is sent. Headers and everything else outside
    bodies may take `max_header_bytes` per request, plus what a single read brings. The application
    limits how long a body may take.

    A few pipelined requests may wait; nothing more is read until they are answered. Connections
    that pipeline requests take turns.
    """

    def __init__(self, settings: Settings, turns: Turns, **given: Any) -> None:
        super().__init__(**given)
        self._settings = settings
        self._turns = turns
        self._sends_ahead = False
        self._asking: asyncio.TimerHandle | None = None
        self._taking: asyncio.TimerHandle | None = None
        self._no_body_bytes = 0
        self._moved_on = False
        self._refused = False
        # The refusal to send once the requests before it are answered.
        self._refusal: TopgenreError | None = None
        # Whether the refused request is a HEAD, whose response has no body.
        self._bodiless = False
        self._unparsed, self._parsed = b"", 0
        self._body_left = 0
        # Whether the body being read belongs to a request that needs none, and is discarded.
        self._ignored = False
        self._upgrading = False
        self._version = b"1.1"
        # The refusal for everything but health checks and metrics.
        self._reserved: TopgenreError | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept the connection, refuse it with an error, or abort it if there are far too many."""
        super().connection_made(transport)
        self.client = self.client and (plain(self.client[0]), self.client[1])
        self.flow: Flow = Flow(transport)
        self._asking = self._time_limit(self._hang_up)
        most, connected = self._settings.max_connections, len(self.connections)
        # Connections from this address over its limit.
        more = 0 if self._is_proxy else self._of_this_address - self._settings.client_connections
        if connected > 2 * most + _RESERVE:
            transport.abort()
        elif connected > most:
            self._keep_for_health(_too_many(), connected - most)
        elif more > 0:
            self._keep_for_health(_too_many("from this address"), more)

    def _keep_for_health(self, refusal: TopgenreError, more: int) -> None:
        """Serve only health checks and metrics, briefly; `more` is the excess over the limit."""
        if more > _RESERVE:
            self._refuse(refusal)
            return
        self._reserved = refusal
        self._end_asking()
        self._asking = self.loop.call_later(_LINGER_S, self._refuse, refusal)

    @cached_property
    def _is_proxy(self) -> bool:
        networks = map(ipaddress.ip_network, self._settings.trusted_proxies)
        try:
            return any(ipaddress.ip_address(self.client[0]) in of for of in networks)  # type: ignore[index]
        except (TypeError, ValueError):
            return True  # a Unix socket, which only proxies use

    @property
    def _of_this_address(self) -> int:
        return sum(of._network == self._network for of in self.connections)  # type: ignore[union-attr]

    @cached_property
    def _network(self) -> str | None:
        return network_of(self.client[0]) if self.client else None

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all timers and forget the connection."""
        self._end_asking()
        self._end_taking()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived; a head or trailers must be complete in time."""
        self._unset_keepalive_if_required()
        self._unparsed, self._parsed = self._unparsed[self._parsed :] + data, 0
        self._parse_on()

    def _parse_on(self) -> None:
        """Parse what has arrived, until enough requests are waiting."""
        size = len(self._unparsed)
        while self._parsed < size and not (self._deaf or len(self.pipeline) >= _MAX_WAITING):
            begin = self._parsed
            self._parsed += max(self._body_left, _STEP_BYTES)
            self._parse(self._unparsed[begin : self._parsed])
        if self._deaf or self._parsed >= size:
            self._unparsed, self._parsed = b"", 0
        self.flow.held = bool(self._unparsed)
        if self.flow.held:
            self.flow.pause_reading()

    @property
    def _deaf(self) -> bool:
        return self._refused or self._refusal is not None or self.transport.is_closing()

    def _parse(self, data: bytes) -> None:
        self._moved_on = False
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # There is nothing to upgrade to, and a server may ignore the header (RFC 9110, 7.8):
            # read the request as if it had no such header.
            if not self._upgrading:  # a tunnel, which has been refused
                return
            self._upgrading = False
            self.parser = httptools.HttpRequestParser(self)
            self._parse(self._head_without_upgrade() + data[upgrade.args[0] :])
            return
        except httptools.HttpParserError:
            self._refuse(BadRequest())
            return
        self._no_body_bytes = 0 if self._moved_on else self._no_body_bytes + len(data)
        if self._no_body_bytes > self._settings.max_header_bytes:
            self._refuse(BadRequest("The headers are too long."))

    def _head_without_upgrade(self) -> bytes:
        method, version = self.scope["method"].encode(), self._version
        lines = [b"%s %s HTTP/%s" % (method, self.url, version)]
        for name, value in self.headers:
            if name == b"connection":
                kept = [of for of in value.split(b",") if of.strip().lower() not in _UPGRADE]
                value = b",".join(kept)
            if name not in _UPGRADE:
                lines.append(name + b": " + value)
        return b"\r\n".join([*lines, b"", b""])

    def on_headers_complete(self) -> None:
        """Start the request: from now on the application limits the time."""
        method = self.parser.get_method()
        if self.parser.should_upgrade() and method != b"CONNECT":
            self.scope["method"], self._upgrading = method.decode("ascii"), True
            self._version = self.parser.get_http_version().encode()
            return
        if self._deaf:
            return
        if wrong := self._wrong_with(method):
            self._bodiless = method == b"HEAD"
            self._refuse(wrong)
            return
        self._end_asking()
        self._ignored = method in _BODYLESS
        super().on_headers_complete()
        self.cycle.transport = HeldHead(  # type: ignore[assignment]
            self.transport, self.loop, self._hang_up
        )

    def _wrong_with(self, method: bytes) -> TopgenreError | None:
        """The error that refuses this head, if any."""
        if self._reserved and not self.url.startswith(_RESERVED):
            return self._reserved
        names = [name for name, _ in self.headers]
        hosts = names.count(b"host")
        if hosts > 1 or (not hosts and self.parser.get_http_version() == "1.1"):
            return BadRequest("A request must name exactly one host.")
        length = next((value for name, value in self.headers if name == b"content-length"), b"0")
        self._body_left = int(length) if length.isdigit() else 0
        return BadRequest() if method == b"CONNECT" else None

    def on_body(self, body: bytes) -> None:
        """Pass on a part of the body, unless it is discarded."""
        if self._deaf or self._upgrading:
            return
        self._moved_on = True
        self._body_left = max(0, self._body_left - len(body))
        if not self._ignored:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the request is complete."""
        if self._deaf or self._upgrading:
            return
        self._moved_on = True
        self._body_left = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request, unless it is there already."""
        last = not self.pipeline
        super().on_response_complete()
        if last and self._refusal is not None:
            refusal, self._refusal = self._refusal, None
            self.loop.call_soon(self._refuse, refusal)
        elif self._unparsed:
            self.loop.call_soon(self._parse_on)
        if self.cycle.response_complete and self._asking is None:
            self._asking = self._time_limit(self._hang_up)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._sends_ahead |= bool(self.pipeline)
        begin = partial(super()._start_asgi_task, cycle, app)
        if self._sends_ahead:
            self._turns.wait(lambda: self.transport.is_closing() or begin())
        else:
            begin()

    def pause_writing(self) -> None:
        """Start a time limit: the client is not reading the response."""
        super().pause_writing()
        self._taking = self._taking or self._time_limit(self.transport.abort)

    def resume_writing(self) -> None:
        """End the time limit: the client is reading again."""
        self._end_taking()
        super().resume_writing()

    def _time_limit(self, end: Callable[[], None]) -> asyncio.TimerHandle:
        return self.loop.call_later(self._settings.client_timeout_s, end)

    def shutdown(self) -> None:
        """Close the connection now, or once the current request is answered."""
        if self.cycle is not None and self.cycle.response_complete:
            self._hang_up()
        else:
            super().shutdown()

    def _hang_up(self) -> None:
        """Send nothing more, and read for a moment longer.

        If a connection is closed while unread data is left, or data arrives afterwards, it is
        reset, and the client loses the part of its answer that it has not read (RFC 9112, 9.6).
        """
        if self.transport.is_closing():
            return
        self._refused = True
        self.pipeline.clear()
        self.transport.write_eof()
        self.flow.held = False
        self.flow.resume_reading()
        self._end_asking()
        self._part(self.loop.time() + self._settings.client_timeout_s)

    def _part(self, last: float) -> None:
        """Abort shortly after everything is written, at the latest at the time `last`."""
        left = self.transport.get_write_buffer_size() and self.loop.time() < last
        end = partial(self._part, last) if left else self.transport.abort
        self._asking = self.loop.call_later(_LINGER_S, end)

    def _end_asking(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None

    def _end_taking(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def _refuse(self, error: TopgenreError) -> None:
        if self._deaf:
            return
        if self.cycle is not None and not self.cycle.response_complete:
            if not self.cycle.more_body:  # it is complete: answer it before refusing what follows
                self._refusal = error
                return
            if self.pipeline:
                self.pipeline.popleft()
                self._refusal = error
                return
            if self.cycle.response_started:
                self.transport.abort()  # a refusal would end up inside the application's answer
                return
            # The body of the current request is malformed: to the application, a disconnect.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        body = json.dumps(Failure.of(error, uuid.uuid4().hex).body()).encode()
        headers = [
            b"content-type: application/json",
            b"content-length: %d" % len(body),
            b"connection: close",
        ]
        if error.retry_after_s is not None:
            headers.append(b"retry-after: %d" % math.ceil(error.retry_after_s))
        head = STATUS_LINE[error.status] + b"\r\n".join(headers) + b"\r\n\r\n"
        self.transport.write(head if self._bodiless else head + body)
        self._hang_up()


def _too_many(which: str = "") -> Overloaded:
    return Overloaded(f"There are too many connections {which}".strip() + ".", retry_after_s=1.0)
