"""One job for all who want the same at the same time."""

from __future__ import annotations

import asyncio
import time

from serve.answer import Answer, OnProgress, Progress, Work


class SingleFlight:
    """Jobs under way, by key; whoever asks for one of them waits for it with the others.

    A job that has run for `joinable_s` is left to those who wait for it already: else one that
    hangs could be kept alive by newcomers for ever.
    """

    def __init__(self, joinable_s: float) -> None:
        self._joinable_s = joinable_s
        self._open: dict[str, _Flight] = {}
        self._all: set[_Flight] = set()

    def __len__(self) -> int:
        """Jobs under way."""
        return len(self._all)

    @property
    def waiting(self) -> int:
        """Those who wait for one of them, all together."""
        return sum(len(flight.waiting) for flight in self._all)

    async def join(self, key: str, work: Work, on_progress: OnProgress) -> Answer:
        """The outcome of `work`, or of one under way with this key; raises what that raises.

        A latecomer hears at once of the newest progress of each stage. When the last one who
        waits is cancelled so is the job, and it is gone on return.
        """
        flight = self._open.get(key)
        if flight is None or time.monotonic() - flight.since > self._joinable_s:
            flight = self._begin(key, work)
        me = object()
        flight.waiting[me] = on_progress
        for progress in list(flight.told.values()):
            on_progress(progress)
        try:
            # Shielded: one who leaves takes nothing away from the others.
            return await asyncio.shield(flight.task)
        finally:
            del flight.waiting[me]
            if not flight.waiting:
                # First of all: a newcomer must not join what is being cancelled.
                self._close(key, flight)
                flight.task.cancel()
                await asyncio.gather(flight.task, return_exceptions=True)

    async def stop(self) -> None:
        """Cancel all jobs; those who wait for them are cancelled too."""
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
    """A job, and who waits for it."""

    def __init__(self, work: Work) -> None:
        self.since = time.monotonic()
        self.waiting: dict[object, OnProgress] = {}
        #: the newest progress of each stage, the newest of all last
        self.told: dict[str, Progress] = {}
        self.task = asyncio.ensure_future(work(self._tell))

    def _tell(self, progress: Progress) -> None:
        self.told.pop(progress.stage, None)
        self.told[progress.stage] = progress
        for on_progress in list(self.waiting.values()):
            on_progress(progress)
