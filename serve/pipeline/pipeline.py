"""The way of one track, from its source to the answer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

from serve.answer import Answer, OnProgress, Progress
from serve.audio.features import FeatureStream
from serve.audio.frontend import FrontEnd
from serve.audio.pool import DecoderPool
from serve.cache import cache_for
from serve.container import cores
from serve.durations import spoken
from serve.errors import BotCheck, Origin, Overloaded, RateLimited, Timeout, TopgenreError
from serve.inference.card import ModelFileError
from serve.inference.engine import Engine
from serve.inference.providers import PROVIDERS
from serve.inference.runner import runner_for
from serve.inference.session import Model
from serve.inference.tuning import tuned
from serve.metrics import Metrics
from serve.pipeline.breaker import Breaker, through_all
from serve.pipeline.job import Run, Works
from serve.pipeline.single_flight import Flights
from serve.pipeline.waiting import WaitingRoom
from serve.replicas import replicas_for
from serve.settings import Settings, fitted
from serve.sources.stream import AudioSource
from serve.sources.youtube import Launcher, YouTubeOptions, YouTubeSource, video_id

_LOG = logging.getLogger(__name__)

#: Kinds of failure that have a circuit breaker: it is this server that YouTube does not like then.
BREAKERS: tuple[type[TopgenreError], ...] = (BotCheck, RateLimited)
_STATES = {"closed": 0.0, "half-open": 0.5, "open": 1.0}


def _ignore(_: Progress) -> None: ...


@dataclass(slots=True)
class _Waiting:
    """For whom a request waits at this moment."""

    origin: Origin = "client"


_WAITING: ContextVar[_Waiting | None] = ContextVar("_WAITING", default=None)


class Pipeline:
    """A model, the decoders before it, and the limits on what they take.

    Used as an asynchronous context: entering starts and warms everything, leaving stops it.
    """

    def __init__(self, settings: Settings, model: Model, metrics: Metrics | None = None) -> None:
        self.settings = settings
        self.model = model
        self.metrics = metrics or Metrics()
        self.front_end = front_end_of(model)
        #: decoder processes
        self.decoders = settings.decoders or cores()
        self._active = 0
        self._youtube = YouTubeOptions(
            max_duration_s=settings.max_duration_s,
            max_bytes=settings.max_body_bytes,
            clients=settings.youtube_clients,
            proxy=settings.youtube_proxy,
            cookies=settings.youtube_cookies,
            timeout_s=settings.youtube_timeout_s,
            retries=settings.youtube_retries,
        )
        self._launcher = Launcher()
        self._pool = DecoderPool(
            self.front_end,
            size=self.decoders,
            max_duration_s=settings.max_duration_s,
            memory_bytes=settings.decoder_memory_bytes,
            cpu_s=settings.decoder_cpu_s,
        )
        share = settings.batch_clips or PROVIDERS[model.provider].shared_clips
        largest = max(share, FeatureStream.capacity(self.front_end, settings.max_duration_s))
        self._engine = Engine(
            runner_for(model, largest, settings.gpu_calls, lambda: self._pool.busy),
            queue_size=settings.queue_size,
            share=share,
            on_call=self.metrics.inference_call,
            stall_s=settings.deadline_s,
        )
        self._works = Works(
            *(self._pool, self._engine, model.card, self.front_end.clip_s, self.metrics),
            WaitingRoom(settings.waiting_bytes),
        )
        self._flights = Flights(joinable_s=settings.deadline_s)
        self._breakers = [
            Breaker(
                kind,
                failures=settings.breaker_failures,
                window_s=settings.breaker_window_s,
                pause_s=settings.breaker_pause_s,
            )
            for kind in BREAKERS
        ]
        self._cache = cache_for(settings, model, self.metrics)
        #: this server and those that share its Redis
        self.replicas = replicas_for(settings, self.metrics)
        watch = self.metrics.watch
        watch("requests_active", "Tracks being worked on", lambda: self._active)
        watch("decoders_alive", "Decoder processes", lambda: self._pool.alive)
        watch("decoders_idle", "Decoder processes that wait for a track", lambda: self._pool.idle)
        watch(
            "load",
            "Decoders at work and tracks that wait for one, of all decoders: above 1 tracks queue",
            lambda: self._pool.load,
        )
        watch("youtube_preloaded", "1 while yt-dlp is loaded", lambda: self._launcher.preloaded)
        watch("inference_waiting", "Tracks waiting for the model", lambda: self._engine.waiting)
        watch("ready", "1 when tracks are taken", lambda: self.ready)
        watch("flights", "Videos being worked on, each once", lambda: len(self._flights))
        watch("flight_waiters", "Requests that wait for them", lambda: self._flights.waiting)
        for breaker in self._breakers:
            watch(
                f"breaker_{breaker.kind.code}",
                "1 while YouTube is left alone for this, 0.5 while one request tries",
                partial(lambda breaker: _STATES[breaker.state], breaker),
            )

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Load the model; raises ModelFileError or DeviceError where that can't be done."""
        return cls(*tuned(fitted(settings)))

    @property
    def sandbox(self) -> dict[str, Any]:
        """What the children that meet strangers' bytes are refused, as measured in them.

        None for those of which there has been none yet. See `serve.sandbox.measure`.
        """
        return {
            "decoders": self._pool.confinement,
            "downloaders": self._launcher.confinement,
        }

    @property
    def failed(self) -> bool:
        """Whether the model has failed for good: only another process can go on."""
        return self._engine.failed

    @property
    def ready(self) -> bool:
        """Whether a track that comes now can be answered."""
        return self._engine.alive and self._pool.ready

    async def __aenter__(self) -> Self:
        """Start the decoders and warm the model, side by side."""
        await asyncio.gather(self._pool.start(), asyncio.to_thread(self._engine.start))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop everything."""
        await self._flights.stop()
        await self.replicas.close()
        await asyncio.to_thread(self._engine.stop)
        await self._pool.stop()

    def video(self, url: str) -> YouTubeSource:
        """The source for a link as people paste it; raises BadUrl, NotYouTube or Playlist."""
        start, told = self._launcher.start, self._launcher.told
        return YouTubeSource(video_id(url), self._youtube, start, told)

    def preloading(self) -> AbstractAsyncContextManager[object]:
        """A context in which yt-dlp is kept loaded, if the settings say so."""
        return self._launcher if self.settings.youtube_preload else nullcontext()

    def remembering(self) -> AbstractAsyncContextManager[object]:
        """A context in which answers are looked up and kept, if the settings say so."""
        return nullcontext() if self.settings.cache == "off" else self._cache

    async def classify(self, source: AudioSource, on_progress: OnProgress = _ignore) -> Answer:
        """Take a track from its source to its genres; use it within `deadline`.

        A video is worked on once for all who ask for it at the same time. Raises the typed error
        of whatever fails; at once, where nothing is known of the track: Overloaded where too many
        are under way, and what YouTube keeps answering. On leaving nothing of the track is left,
        unless somebody else waits for it.
        """
        followed = _followed(on_progress, source.origin)
        if source.identity is None:
            self._check_places()  # before anything of it is read
            return await self._file(source, followed)
        key = self._cache.key(*source.identity)
        if (known := await self._cache.get(key)) is not None:
            if isinstance(known, TopgenreError):
                raise known
            return known
        once = partial(self.replicas.once, key, partial(self._video, source, key))
        return await self._flights.join(key, once, followed)

    async def _file(self, source: AudioSource, on_progress: OnProgress) -> Answer:
        def key(digest: str) -> str:
            return self._cache.key("sha256", digest)

        lookup = (lambda digest: self._cache.get(key(digest))) if self._cache.active else None
        run = Run(self._works, on_progress, lookup, self._slot)
        try:
            answer = await run.classify(source)
        except TopgenreError as error:
            if run.digest:
                self._cache.put(key(run.digest), error)
            raise
        if run.digest:
            self._cache.put(key(run.digest), answer)
        return answer

    async def _video(self, source: AudioSource, key: str, on_progress: OnProgress) -> Answer:
        try:
            async with through_all(self._breakers, self.replicas):
                with self._slot():
                    answer = await Run(self._works, on_progress).classify(source)
        except TopgenreError as error:
            if isinstance(error, Timeout):  # not ours: that one is raised by `deadline`
                error.origin = source.origin
            self._cache.put(key, error)
            raise
        self._cache.put(key, answer)
        return answer

    @asynccontextmanager
    async def deadline(self) -> AsyncIterator[None]:
        """Cancel what is done within it when a request's time is over, and raise Timeout.

        The error's `origin` is whoever was waited for then.
        """
        limit_s = self.settings.deadline_s
        waiting = _Waiting()
        token = _WAITING.set(waiting)
        try:
            async with asyncio.timeout(limit_s):
                yield
        except TimeoutError:
            late = Timeout(f"It took longer than the limit of {spoken(limit_s)}.")
            late.origin = waiting.origin
            raise late from None
        finally:
            _WAITING.reset(token)

    def _check_places(self) -> None:
        """Raise Overloaded where there is no place for one more track."""
        if self._active >= self.settings.max_requests:
            raise Overloaded(retry_after_s=1.0)

    @contextmanager
    def _slot(self) -> Iterator[None]:
        self._check_places()
        self._active += 1
        try:
            yield
        finally:
            self._active -= 1


def _followed(on_progress: OnProgress, origin: Origin) -> OnProgress:
    """Progress with the seconds of this request; notes whom it waits for, `origin` or us."""
    start, waiting = time.perf_counter(), _WAITING.get()

    def tell(progress: Progress) -> None:
        if waiting and progress.stage != "listening":
            arriving = progress.stage in ("accepted", "downloading") and progress.fraction != 1.0
            waiting.origin = origin if arriving else "server"
        on_progress(replace(progress, seconds=round(time.perf_counter() - start, 3)))

    return tell


def front_end_of(model: Model) -> FrontEnd:
    """The front end that the model file names; raise ModelFileError where it does not fit."""
    try:
        front_end = FrontEnd.from_dict(model.card.front_end)
    except (TypeError, ValueError) as error:
        raise ModelFileError(f"its metadata front_end can't be used: {error}") from None
    if front_end.clip_shape != model.clip_shape:
        raise ModelFileError(
            f"its front end makes clips of {front_end.clip_shape}, it takes {model.clip_shape}"
        )
    return front_end
