"""Limits the memory of tracks that are waiting for the rest of their bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from serve.errors import Overloaded


class WaitingRoom:
    """Tracks that wait for more bytes from their sender: together they hold at most `max_bytes`.

    Beyond that, the largest of them is ended with Overloaded. Tracks being decoded do not count:
    their number is limited.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._waiting: dict[Guest, asyncio.Timeout] = {}
        self._bytes = 0

    def enter(self, guest: Guest, limit: asyncio.Timeout) -> None:
        """Start counting a track; `limit` is the timeout that ends it."""
        self._waiting[guest] = limit
        self._take(guest.size)

    def leave(self, guest: Guest) -> None:
        """Stop counting a track."""
        if self._waiting.pop(guest, None):
            self._bytes -= guest.size

    def grow(self, guest: Guest, size: int) -> None:
        """Add `size` bytes to a track, whether it is waiting or not."""
        guest.size += size
        if guest in self._waiting:
            self._take(size)

    def _take(self, size: int) -> None:
        self._bytes += size
        while self._bytes > self._max_bytes:
            largest = max(self._waiting, key=lambda guest: guest.size)
            self._waiting[largest].reschedule(asyncio.get_running_loop().time())
            self.leave(largest)


class Guest:
    """One track, and how many of its bytes are in memory."""

    def __init__(self, room: WaitingRoom) -> None:
        self._room = room
        self.size = 0

    def grow(self, size: int) -> None:
        """Add `size` bytes that have arrived."""
        self._room.grow(self, size)

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """Wait for bytes in this context; raises Overloaded if memory runs out."""
        try:
            async with asyncio.timeout(None) as limit:
                self._room.enter(self, limit)
                try:
                    yield
                finally:
                    self._room.leave(self)
        except TimeoutError:
            if limit.expired():
                text = "Too much is being uploaded too slowly; try again in a moment."
                raise Overloaded(text, retry_after_s=1.0) from None
            raise
