"""The pipeline: takes tracks from their sources to answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from dataclasses import replace
from functools import partial
from inspect import isawaitable
from typing import Any, Self

from serve.answer import Answer, OnProgress, Outcome, Progress, answer_type
from serve.backoff import pauses_s
from serve.durations import spoken
from serve.errors import Origin, Overloaded, Timeout, TopgenreError
from serve.inference.session import LoadedModel
from serve.inference.tuning import tuned
from serve.metrics import Metrics
from serve.pipeline.breaker import Breaker, through_all
from serve.pipeline.job import Job
from serve.pipeline.parts import Parts, decoders_of
from serve.settings import Settings, fitted
from serve.sources.stream import AudioSource

# Pauses between attempts while all places are taken.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0


def _ignore(_: Progress) -> None: ...


class Pipeline:
    """A model, its decoders, and the limits on what they use.

    An asynchronous context manager: entering starts and warms up everything, leaving stops it.
    """

    def __init__(
        self, settings: Settings, model: LoadedModel, metrics: Metrics | None = None
    ) -> None:
        self.settings = settings
        self.model = model
        self.metrics = metrics or Metrics()
        self.parts = Parts.of(settings, model, self.metrics)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Load the model; raises ModelFileError or DeviceError if that fails."""
        return cls(*tuned(fitted(settings)))

    @property
    def decoders(self) -> int:
        """The configured number of decoder processes."""
        return decoders_of(self.settings)

    @property
    def sandbox(self) -> dict[str, dict[str, Any] | None]:
        """How the child processes that handle untrusted bytes are confined, as measured in them.

        None for a kind that has not run yet. See `serve.workers.sandbox`.
        """
        return {
            "decoders": self.parts.pool.confinement,
            "downloaders": self.parts.links.confinement,
        }

    @property
    def failed(self) -> bool:
        """Whether the model has failed for good: only a new process can recover."""
        return self.parts.engine.failed

    @property
    def ready(self) -> bool:
        """Whether a track can be processed now."""
        return self.parts.ready

    async def __aenter__(self) -> Self:
        """Start the decoders and warm up the model, concurrently."""
        parts = self.parts
        await asyncio.gather(
            parts.pool.start(),
            asyncio.to_thread(parts.engine.start),
            asyncio.to_thread(answer_type),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop everything."""
        async with AsyncExitStack() as stopping:  # each, whatever becomes of those before it
            stopping.push_async_callback(self.parts.pool.stop)
            stopping.push_async_callback(asyncio.to_thread, self.parts.engine.stop)
            stopping.push_async_callback(self.parts.replicas.close)
            stopping.push_async_callback(self.parts.flights.stop)

    def linked(self, url: str) -> AudioSource:
        """The source for a link as people paste it; raises BadUrl, NotYouTube or Playlist."""
        return self.parts.links.source(url)

    def preloading(self) -> AbstractAsyncContextManager[object]:
        """A context in which what downloads links stays loaded, as the settings have it."""
        return self.parts.links.preloading()

    def remembering(self) -> AbstractAsyncContextManager[object]:
        """A context in which answers are cached, if the settings ask for it."""
        return nullcontext() if self.settings.cache == "off" else self.parts.cache

    async def classify(
        self,
        source: AudioSource | Awaitable[AudioSource],
        on_progress: OnProgress = _ignore,
    ) -> Answer:
        """Classify a track within the deadline.

        The time to await `source` counts, too. Simultaneous requests for a video share one job.
        Raises a TopgenreError: Timeout has the `origin` that was waited for last. For an unknown
        track, Overloaded and the failure of an open circuit breaker are raised at once. Everything
        the track holds is released, unless another request is waiting for it.
        """
        limit_s = self.settings.deadline_s
        asked = _Asked(on_progress)
        try:
            async with asyncio.timeout(limit_s):
                found = await source if isawaitable(source) else source
                return await self._classify(found, asked.tell)
        except TimeoutError:
            late = Timeout(f"It took longer than the limit of {spoken(limit_s)}.")
            late.origin = asked.waits_for
            raise late from None

    async def classify_patiently(self, source: AudioSource) -> Answer:
        """As `classify`, but wait for a place while the pipeline is overloaded.

        The deadline applies to each attempt, and each attempt opens the source again.
        """
        pauses = pauses_s(_FIRST_PAUSE_S, _LONGEST_PAUSE_S)
        while True:
            try:
                return await self.classify(source)
            except Overloaded:
                await asyncio.sleep(next(pauses))

    async def _classify(self, source: AudioSource, on_progress: OnProgress) -> Answer:
        if source.identity is None:
            self.parts.places.check()  # before the source is read
            return await self._file(source, on_progress)
        key = self.parts.cache.key(*source.identity)
        if (known := await self.parts.cache.get(key)) is not None:
            if isinstance(known, TopgenreError):
                raise known
            return known
        breakers = self.parts.breakers[source.identity[0]]
        once = partial(self.parts.replicas.once, key, partial(self._linked, source, key, breakers))
        return await self.parts.flights.join(key, once, on_progress)

    async def _file(self, source: AudioSource, on_progress: OnProgress) -> Answer:
        cache = self.parts.cache

        def key(digest: str) -> str:
            return cache.key("sha256", digest)

        lookup = (lambda digest: cache.get(key(digest))) if cache.active else None
        job = Job(self.parts, source, on_progress, lookup, self.parts.places.take)
        return await self._kept(job.work(), lambda: job.digest and key(job.digest))

    async def _linked(
        self, source: AudioSource, key: str, breakers: list[Breaker], on_progress: OnProgress
    ) -> Answer:
        async def work() -> Answer:
            async with through_all(breakers, self.parts.replicas):
                with self.parts.places.take():
                    return await Job(self.parts, source, on_progress).work()

        return await self._kept(work(), lambda: key)

    async def _kept(self, work: Awaitable[Answer], key: Callable[[], str | None]) -> Answer:
        """Await the outcome and put it into the cache, if it is to be cached."""
        outcome: Outcome | None = None
        try:
            outcome = await work
            return outcome
        except TopgenreError as error:
            outcome = error
            raise
        finally:
            if outcome is not None and (name := key()):
                self.parts.cache.put(name, outcome)


class _Asked:
    """A request for a track: adds the time since then to progress, and notes what it waits for."""

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress = on_progress
        self._start = time.perf_counter()
        self.waits_for: Origin = "client"

    def tell(self, progress: Progress) -> None:
        self.waits_for = progress.waits_for
        seconds = round(time.perf_counter() - self._start, 3)
        self._on_progress(replace(progress, seconds=seconds))
