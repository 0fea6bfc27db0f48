"""Single flight: simultaneous requests for the same track share one job."""

from __future__ import annotations

import asyncio
import time

from serve.answer import Answer, OnProgress, Progress, Work


class SingleFlight:
    """Jobs in progress, by key; a request for the same key joins the job in progress.

    A job older than `joinable_s` accepts no more requests: otherwise new ones could keep a hanging
    job alive for ever.
    """

    def __init__(self, joinable_s: float) -> None:
        self._joinable_s = joinable_s
        self._open: dict[str, _Flight] = {}
        self._all: set[_Flight] = set()

    def __len__(self) -> int:
        """Jobs in progress."""
        return len(self._all)

    @property
    def waiting(self) -> int:
        """Requests that are waiting for a job."""
        return sum(len(flight.waiting) for flight in self._all)

    async def join(self, key: str, work: Work, on_progress: OnProgress) -> Answer:
        """The outcome of `work`, or of the job in progress with this key; raises what that raises.

        A request that joins late is told the latest progress of each stage at once. When the last
        waiting request is cancelled, so is the job, and it has ended on return.
        """
        flight = self._open.get(key)
        if flight is None or time.monotonic() - flight.since > self._joinable_s:
            flight = self._begin(key, work)
        me = object()
        flight.waiting[me] = on_progress
        for progress in list(flight.told.values()):
            on_progress(progress)
        try:
            # Shielded: a cancelled request must not cancel the job for the others.
            return await asyncio.shield(flight.task)
        finally:
            del flight.waiting[me]
            if not flight.waiting:
                # Before cancelling: no new request may join a job that is being cancelled.
                self._close(key, flight)
                flight.task.cancel()
                await asyncio.gather(flight.task, return_exceptions=True)

    async def stop(self) -> None:
        """Cancel all jobs, and with them the requests that wait for them."""
        tasks = [flight.task for flight in self._all]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, key: str, work: Work) -> _Flight:
        flight = _Flight(work)
        self._open[key] = flight
        self._all.add(flight)

        def over(_: object) -> None:
            self._close(key, flight)
            self._all.discard(flight)

        flight.task.add_done_callback(over)
        return flight

    def _close(self, key: str, flight: _Flight) -> None:
        if self._open.get(key) is flight:
            del self._open[key]


class _Flight:
    """A job, and the requests that wait for it."""

    def __init__(self, work: Work) -> None:
        self.since = time.monotonic()
        self.waiting: dict[object, OnProgress] = {}
        #: the latest progress of each stage, in order of arrival
        self.told: dict[str, Progress] = {}
        self.task = asyncio.ensure_future(work(self._tell))

    def _tell(self, progress: Progress) -> None:
        self.told.pop(progress.stage, None)
        self.told[progress.stage] = progress
        for on_progress in list(self.waiting.values()):
            on_progress(progress)
