"""Draining: finishes accepted work when the server is told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from serve.errors import ShuttingDown

# Seconds until a client should retry: by then another server has taken over, or this one is back.
_RETRY_AFTER_S = 2.0


class Drain:
    """Tracks work in progress; `drain` lets it finish, and ends what does not finish in time."""

    def __init__(self) -> None:
        #: whether the server is about to stop and should get no more requests
        self.stopping = False
        self._closed = False
        self._work: set[asyncio.Timeout] = set()
        self._changed = asyncio.Event()
        self._hurried = False

    @property
    def under_way(self) -> int:
        """The number of jobs that a stop would wait for."""
        return len(self._work)

    @asynccontextmanager
    async def work(self) -> AsyncIterator[None]:
        """Count the work in this context as in progress.

        Raises ShuttingDown if no more work may begin, or, from whatever the work is awaiting, if
        the time to finish is over.
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
        """Stop in order: report not ready, then refuse new work, then end what is left.

        New work is still accepted for `grace_s` seconds, so that load balancers can notice. After
        that, work in progress has `deadline_s` seconds to finish.
        """
        self.stopping = True
        await self._until(lambda: False, grace_s)
        self._closed = True
        await self._until(lambda: not self._work, deadline_s)
        now = asyncio.get_running_loop().time()
        for limit in self._work:
            limit.reschedule(now)

    def hurry(self) -> None:
        """Stop waiting; to be called in the event loop's thread."""
        self._hurried = True
        self._changed.set()

    async def _until(self, condition: Callable[[], bool], within_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not (self._hurried or condition()):
                    self._changed.clear()
                    await self._changed.wait()
