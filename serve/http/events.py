"""The event stream of a request: `progress` events, then one `result` or `error`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from pydantic_core import to_json
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from serve.http.departure import Departed, Visit

Event = tuple[str, dict[str, Any]]
Emit = Callable[[str, dict[str, Any]], None]

# Progress that a slow reader has not taken yet; what comes on top is left out.
_MAX_PENDING = 64


class EventStream(Response):
    """A response of server-sent events (WHATWG HTML, section 9.2).

    `work` is given a function to emit progress with, and returns the last event. It is cancelled
    when the client leaves or has not taken everything `within_s` seconds.
    """

    media_type = "text/event-stream"

    def __init__(
        self, visit: Visit, work: Callable[[Emit], Coroutine[Any, Any, Event]], within_s: float
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._visit = visit
        self._work = work
        self._within_s = within_s
        self._events: asyncio.Queue[Event | None] = asyncio.Queue(_MAX_PENDING)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events as they come."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        with suppress(Departed, TimeoutError, OSError):
            async with asyncio.timeout(self._within_s):
                await self._visit.do(self._run(send))
                await send({"type": "http.response.body", "body": b""})

    async def _run(self, send: Send) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._forward(send))
            last = await self._work(self._emit)
            await self._events.put(last)
            await self._events.put(None)

    def _emit(self, name: str, data: dict[str, Any]) -> None:
        with suppress(asyncio.QueueFull):
            self._events.put_nowait((name, data))

    async def _forward(self, send: Send) -> None:
        while (event := await self._events.get()) is not None:
            name, data = event
            body = b"event: %b\ndata: %b\n\n" % (name.encode(), to_json(data))
            await send({"type": "http.response.body", "body": body, "more_body": True})
