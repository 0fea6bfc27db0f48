"""The way of one track, from its source to the answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from functools import partial
from inspect import isawaitable
from typing import Any, Self

from serve.answer import Answer, OnProgress, Outcome, Progress, answer_type
from serve.backoff import pauses_s
from serve.durations import spoken
from serve.errors import Origin, Overloaded, Timeout, TopgenreError
from serve.inference.session import Model
from serve.inference.tuning import tuned
from serve.metrics import Metrics
from serve.pipeline.breaker import through_all
from serve.pipeline.job import Job
from serve.pipeline.parts import Parts, decoders_of
from serve.settings import Settings, fitted
from serve.sources.stream import AudioSource
from serve.sources.youtube import YouTubeSource, video_id

# Between tries to get a place while others have them all.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0


def _ignore(_: Progress) -> None: ...


class Pipeline:
    """A model, the decoders before it, and the limits on what they take.

    Used as an asynchronous context: entering starts and warms everything, leaving stops it.
    """

    def __init__(self, settings: Settings, model: Model, metrics: Metrics | None = None) -> None:
        self.settings = settings
        self.model = model
        self.metrics = metrics or Metrics()
        self.parts = Parts.of(settings, model, self.metrics)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Load the model; raises ModelFileError or DeviceError where that can't be done."""
        return cls(*tuned(fitted(settings)))

    @property
    def decoders(self) -> int:
        """Decoder processes that there should be."""
        return decoders_of(self.settings)

    @property
    def sandbox(self) -> dict[str, dict[str, Any] | None]:
        """What the children that meet strangers' bytes are refused, as measured in them.

        None for those of which there has been none yet. See `serve.workers.refused`.
        """
        return {
            "decoders": self.parts.pool.confinement,
            "downloaders": self.parts.launcher.confinement,
        }

    @property
    def failed(self) -> bool:
        """Whether the model has failed for good: only another process can go on."""
        return self.parts.engine.failed

    @property
    def ready(self) -> bool:
        """Whether a track that comes now can be answered."""
        return self.parts.ready

    async def __aenter__(self) -> Self:
        """Start the decoders and warm the model, side by side."""
        parts = self.parts
        await asyncio.gather(
            parts.pool.start(),
            asyncio.to_thread(parts.engine.start),
            asyncio.to_thread(answer_type),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop everything."""
        await self.parts.flights.stop()
        await self.parts.replicas.close()
        await asyncio.to_thread(self.parts.engine.stop)
        await self.parts.pool.stop()

    def video(self, url: str) -> YouTubeSource:
        """The source for a link as people paste it; raises BadUrl, NotYouTube or Playlist."""
        launcher = self.parts.launcher
        return YouTubeSource(video_id(url), self.parts.youtube, launcher.start, launcher.told)

    def preloading(self) -> AbstractAsyncContextManager[object]:
        """A context in which yt-dlp is kept loaded, if the settings say so."""
        return self.parts.launcher if self.settings.youtube_preload else nullcontext()

    def remembering(self) -> AbstractAsyncContextManager[object]:
        """A context in which answers are looked up and kept, if the settings say so."""
        return nullcontext() if self.settings.cache == "off" else self.parts.cache

    async def classify(
        self,
        source: AudioSource | Awaitable[AudioSource],
        on_progress: OnProgress = _ignore,
    ) -> Answer:
        """Take a track from its source to its genres, within the deadline.

        A source may be awaited first: that counts, too. A video is worked on once for all who ask
        for it at the same time. Raises the typed error of whatever fails, Timeout with the `origin`
        that was waited for in the end; at once, where nothing is known of the track: Overloaded
        where too many are under way, and what YouTube keeps answering. On leaving nothing of the
        track is left, unless somebody else waits for it.
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
        """The same, but waiting for a place, for as long as too many tracks are under way.

        The deadline is that of the try which finds one. The source is opened anew by each.
        """
        pauses = pauses_s(_FIRST_PAUSE_S, _LONGEST_PAUSE_S)
        while True:
            try:
                return await self.classify(source)
            except Overloaded:
                await asyncio.sleep(next(pauses))

    async def _classify(self, source: AudioSource, on_progress: OnProgress) -> Answer:
        if source.identity is None:
            self.parts.places.check()  # before anything of it is read
            return await self._file(source, on_progress)
        key = self.parts.cache.key(*source.identity)
        if (known := await self.parts.cache.get(key)) is not None:
            if isinstance(known, TopgenreError):
                raise known
            return known
        once = partial(self.parts.replicas.once, key, partial(self._video, source, key))
        return await self.parts.flights.join(key, once, on_progress)

    async def _file(self, source: AudioSource, on_progress: OnProgress) -> Answer:
        cache = self.parts.cache

        def key(digest: str) -> str:
            return cache.key("sha256", digest)

        lookup = (lambda digest: cache.get(key(digest))) if cache.active else None
        job = Job(self.parts, source, on_progress, lookup, self.parts.places.take)
        return await self._kept(job.work(), lambda: job.digest and key(job.digest))

    async def _video(self, source: AudioSource, key: str, on_progress: OnProgress) -> Answer:
        async def work() -> Answer:
            async with through_all(self.parts.breakers, self.parts.replicas):
                with self.parts.places.take():
                    return await Job(self.parts, source, on_progress).work()

        return await self._kept(work(), lambda: key)

    async def _kept(self, work: Awaitable[Answer], key: Callable[[], str | None]) -> Answer:
        """The answer, or the failure, of which what is worth it stays in the cache."""
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
    """One who asks for a track: tells how far it is since then, and notes whom it waits for."""

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress = on_progress
        self._start = time.perf_counter()
        self.waits_for: Origin = "client"

    def tell(self, progress: Progress) -> None:
        self.waits_for = progress.waits_for
        seconds = round(time.perf_counter() - self._start, 3)
        self._on_progress(replace(progress, seconds=seconds))
