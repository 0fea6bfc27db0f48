"""Memory that tracks take up while they wait for the rest of their bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from serve.errors import Overloaded


class WaitingRoom:
    """The tracks that wait for whoever sends them: together they have at most `max_bytes`.

    Beyond that the largest of them ends, with Overloaded. Those at work are not among them: they
    are bounded by their number.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._waiting: dict[Guest, asyncio.Timeout] = {}
        self._bytes = 0

    def enter(self, guest: Guest, limit: asyncio.Timeout) -> None:
        """From now on it waits, and `limit` is what ends it."""
        self._waiting[guest] = limit
        self._take(guest.size)

    def leave(self, guest: Guest) -> None:
        """It does no longer."""
        if self._waiting.pop(guest, None):
            self._bytes -= guest.size

    def grow(self, guest: Guest, size: int) -> None:
        """So many bytes more have arrived of one that may be waiting."""
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
    """One track: how many bytes there are of it in memory."""

    def __init__(self, room: WaitingRoom) -> None:
        self._room = room
        self.size = 0

    def grow(self, size: int) -> None:
        """So many bytes more have arrived."""
        self._room.grow(self, size)

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """Within it the track waits; Overloaded comes out of it where there is no room for it."""
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
