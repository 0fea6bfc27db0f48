"""Work for a client, stopped when the client leaves."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Coroutine
from typing import Any, TypeVar

from starlette.types import Receive

T = TypeVar("T")

# Bytes of a body that are read ahead. A client's leaving can only be noticed by reading on.
_MAX_AHEAD_BYTES = 1 << 20


class Departed(Exception):
    """The client has closed its connection: there is nobody to answer."""


class Visit:
    """One request's connection: its body, and word of the client's leaving.

    Starlette does not cancel a handler whose client has left, and only one may listen on the
    connection. So this one listens, all the time, and keeps what it hears of the body.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._blocks: deque[bytes] = deque()
        self._ahead_bytes = 0
        self._ended = False
        self._changed = asyncio.Condition()

    async def body(self) -> AsyncGenerator[bytes]:
        """The body's blocks as they arrive, once; only within `do`."""
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._blocks or self._ended)
                if not self._blocks:
                    return
                block = self._blocks.popleft()
                self._ahead_bytes -= len(block)
                self._changed.notify_all()
            yield block

    async def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work; raise Departed, with the work cancelled and gone, if the client leaves."""
        tasks: list[asyncio.Future[Any]] = [working := asyncio.ensure_future(work)]
        try:
            # What can be refused at once is refused before the client is asked to send its body.
            await asyncio.wait(tasks, timeout=0)
            tasks.append(asyncio.ensure_future(self._listen()))
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise Departed
            return await working
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self) -> None:
        while (message := await self._receive())["type"] != "http.disconnect":
            async with self._changed:
                if block := message.get("body"):
                    self._blocks.append(block)
                    self._ahead_bytes += len(block)
                self._ended = not message.get("more_body", False)
                self._changed.notify_all()
                await self._changed.wait_for(lambda: self._ahead_bytes <= _MAX_AHEAD_BYTES)
