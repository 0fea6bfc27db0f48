"""Accepted work, and what becomes of it when the server is told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from serve.errors import ShuttingDown

# When somebody may ask again: another server has taken over by then, or this one was started anew.
_RETRY_AFTER_S = 2.0


class Drain:
    """Knows the work under way; `drain` lets it finish, and ends what does not in time."""

    def __init__(self) -> None:
        #: whether the server is about to stop, and should be sent nothing more
        self.stopping = False
        self._closed = False
        self._work: set[asyncio.Timeout] = set()
        self._changed = asyncio.Event()
        self._hurried = False

    @property
    def under_way(self) -> int:
        """How much work a stop would wait for."""
        return len(self._work)

    @asynccontextmanager
    async def work(self) -> AsyncIterator[None]:
        """Within it is work to wait for; raises ShuttingDown where no more is begun or waited for.

        As any other error, that comes out of whatever the work waits for at that moment.
        """
        if self._closed:
            raise ShuttingDown(retry_after_s=_RETRY_AFTER_S)
        try:
            async with asyncio.timeout(None) as limit:
                self._work.add(limit)
                try:
                    yield
                finally:
                    self._work.discard(limit)
                    self._changed.set()
        except TimeoutError:
            if limit.expired():
                raise ShuttingDown(retry_after_s=_RETRY_AFTER_S) from None
            raise

    async def drain(self, grace_s: float, deadline_s: float) -> None:
        """Stop in order: not ready any more, then nothing new, then nothing at all.

        For `grace_s` seconds work is still begun, so that whoever distributes it has the time to
        notice; then what is under way has `deadline_s` seconds.
        """
        self.stopping = True
        await self._until(lambda: False, grace_s)
        self._closed = True
        await self._until(lambda: not self._work, deadline_s)
        now = asyncio.get_running_loop().time()
        for limit in self._work:
            limit.reschedule(now)

    def hurry(self) -> None:
        """Wait for nothing any more: to be called in the event loop's thread."""
        self._hurried = True
        self._changed.set()

    async def _until(self, condition: Callable[[], bool], within_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not (self._hurried or condition()):
                    self._changed.clear()
                    await self._changed.wait()
