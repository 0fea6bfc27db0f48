"""Work for a client, cancelled when the client disconnects."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Coroutine
from typing import Any, TypeVar

from starlette.types import Receive

T = TypeVar("T")

#: Seconds that a client may take to read the end of its response, on top of the deadline.
READING_S = 10.0
# Most bytes of a body to read ahead. A disconnect is only noticed by reading on, and this is enough
# for most tracks to be complete by the time they get a decoder.
_MAX_AHEAD_BYTES = 4 << 20


class Departed(Exception):
    """The client has disconnected: there is nobody to answer."""


class Visit:
    """One request's connection: its body, and the client's disconnect.

    Starlette does not cancel a handler whose client has disconnected, and only one task may read
    from the connection. So a `Visit` reads all the time, and keeps what arrives of the body.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._blocks: deque[bytes] = deque()
        self._ahead_bytes = 0
        self._ended = False
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()

    async def body(self) -> AsyncGenerator[bytes]:
        """The body's blocks as they arrive, once; only within `do`."""
        while True:
            while not (self._blocks or self._ended):
                self._arrived.clear()
                await self._arrived.wait()
            if not self._blocks:
                return
            block = self._blocks.popleft()
            self._ahead_bytes -= len(block)
            self._taken.set()
            yield block

    async def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work; if the client disconnects, cancel it, await its end, and raise Departed."""
        working = asyncio.current_task()
        assert working is not None
        cancelling = working.cancelling()
        listening: asyncio.Task[None] | None = None
        left = over = False

        def listen() -> None:
            nonlocal listening
            listening = asyncio.ensure_future(self._listen())
            listening.add_done_callback(leave)

        def leave(listened: asyncio.Task[None]) -> None:
            nonlocal left
            if not (listened.cancelled() or over):
                left = working.cancel()

        # Not before the work first awaits something: what can be refused at once is refused before
        # the client is asked to send its body.
        begin = asyncio.get_running_loop().call_soon(listen)
        try:
            return await work
        except BaseException:
            # A cancellation from elsewhere takes precedence.
            if left and working.uncancel() <= cancelling:
                raise Departed from None
            raise
        finally:
            over = True
            begin.cancel()
            if listening is not None:
                listening.cancel()

    async def _listen(self) -> None:
        while (message := await self._receive())["type"] != "http.disconnect":
            if block := message.get("body"):
                self._blocks.append(block)
                self._ahead_bytes += len(block)
            self._ended = not message.get("more_body", False)
            self._arrived.set()
            while self._ahead_bytes > _MAX_AHEAD_BYTES:
                self._taken.clear()
                await self._taken.wait()
