"""The event stream of a request: `progress` events, then a `result`, or `failure` and `error`.

A browser's EventSource treats the end of a stream as a failure and reconnects after some seconds,
sending the id of the last event. So the final events have an id: a client that sends it has
received them, and gets status 204, which tells it to stop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from serve.http.predict.departure import Departed, Visit

#: name, and data in JSON
Event = tuple[str, bytes]
Emit = Callable[[str, bytes], None]
Work = Callable[[Emit], Coroutine[Any, Any, list[Event]]]

_ID = b"end"
# Most progress events waiting for a slow reader; further ones are dropped.
_MAX_PENDING = 64


def heard_out(headers: Headers) -> bool:
    """Whether the client has already received the end of the stream."""
    return bool(headers.get("last-event-id"))


class EventStream(Response):
    """A response of server-sent events (WHATWG HTML, section 9.2).

    `work` gets a function with which it emits progress, and returns the final events. It is
    cancelled if the client disconnects or has not received everything after `within_s` seconds.
    """

    media_type = "text/event-stream"

    def __init__(self, visit: Visit, work: Work, within_s: float) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._visit = visit
        self._work = work
        self._within_s = within_s
        self._progress: asyncio.Queue[Event | None] = asyncio.Queue(_MAX_PENDING)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events as they are emitted."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        with suppress(Departed, TimeoutError, OSError):
            async with asyncio.timeout(self._within_s):
                await self._visit.do(self._run(send))
                await send({"type": "http.response.body", "body": b""})

    async def _run(self, send: Send) -> None:
        async with asyncio.TaskGroup() as tasks:
            forwarding = tasks.create_task(self._forward(send))
            last = await self._work(self._emit)
            await self._progress.put(None)
            await forwarding
            for event in last:
                await _send(send, b"id: %b\n" % _ID, event)

    def _emit(self, name: str, data: bytes) -> None:
        with suppress(asyncio.QueueFull):
            self._progress.put_nowait((name, data))

    async def _forward(self, send: Send) -> None:
        while (event := await self._progress.get()) is not None:
            await _send(send, b"", event)


async def _send(send: Send, id_: bytes, event: Event) -> None:
    name, data = event
    body = b"%bevent: %b\ndata: %b\n\n" % (id_, name.encode(), data)
    await send({"type": "http.response.body", "body": body, "more_body": True})
