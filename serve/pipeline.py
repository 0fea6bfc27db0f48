"""The way of one track, from its source to the answer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from dataclasses import dataclass
from typing import Literal, Self

from serve.audio.features import FeatureStream
from serve.audio.frontend import FrontEnd
from serve.audio.pool import DecoderPool
from serve.audio.track import Decoded
from serve.errors import Overloaded, Timeout
from serve.inference.aggregate import Verdict, aggregate
from serve.inference.card import ModelFileError
from serve.inference.engine import Engine
from serve.inference.runner import runner_for
from serve.inference.session import Model
from serve.inference.tuning import SHARE, tuned
from serve.metrics import Metrics
from serve.settings import Settings, cores
from serve.sources.stream import AudioSource, AudioStream
from serve.sources.youtube import Launcher, YouTubeOptions, YouTubeSource, video_id

_LOG = logging.getLogger(__name__)

Stage = Literal["accepted", "found", "downloading", "listening", "classifying"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a track is: its stage, the fraction of it (None where that can't be told).

    `seconds` have passed since the request; `title` and `duration_s` are there once known.
    """

    stage: Stage
    fraction: float | None
    seconds: float
    title: str | None = None
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The genres of a track and of its clips; `timings_ms` holds the milliseconds of each stage."""

    title: str
    verdict: Verdict
    duration_s: float
    clip_s: float
    timings_ms: dict[str, float]


OnProgress = Callable[[Progress], None]


def _ignore(_: Progress) -> None: ...


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
        )
        share = settings.batch_clips or SHARE[model.provider]
        largest = max(share, FeatureStream.capacity(self.front_end, settings.max_duration_s))
        self._engine = Engine(
            runner_for(model, largest, settings.gpu_calls),
            queue_size=settings.queue_size,
            share=share,
            on_call=self.metrics.inference_call,
        )
        watch = self.metrics.watch
        watch("requests_active", "Tracks being worked on", lambda: self._active)
        watch("decoders_alive", "Decoder processes", lambda: self._pool.alive)
        watch("youtube_preloaded", "1 while yt-dlp is loaded", lambda: self._launcher.preloaded)
        watch("inference_waiting", "Tracks waiting for the model", lambda: self._engine.waiting)
        watch("ready", "1 when tracks are taken", lambda: self.ready)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Load the model; raises ModelFileError or DeviceError where that can't be done."""
        return cls(*tuned(settings))

    @property
    def ready(self) -> bool:
        """Whether a track that comes now can be answered."""
        return self._engine.alive and self._pool.alive > 0

    async def __aenter__(self) -> Self:
        """Start the decoders and warm the model, side by side."""
        await asyncio.gather(self._pool.start(), asyncio.to_thread(self._engine.start))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop everything."""
        await asyncio.to_thread(self._engine.stop)
        await self._pool.stop()

    def video(self, url: str) -> YouTubeSource:
        """The source for a link as people paste it; raises BadUrl, NotYouTube or Playlist."""
        return YouTubeSource(video_id(url), self._youtube, self._launcher.start)

    def preloading(self) -> AbstractAsyncContextManager[object]:
        """A context in which yt-dlp is kept loaded, if the settings say so."""
        return self._launcher if self.settings.youtube_preload else nullcontext()

    async def classify(self, source: AudioSource, on_progress: OnProgress = _ignore) -> Answer:
        """Take a track from its source to its genres; use it within `deadline`.

        Raises the typed error of whatever fails, Overloaded at once where too many tracks are
        under way. On leaving nothing of the track is left.
        """
        with self._slot():
            return await _Run(self, on_progress).classify(source)

    @asynccontextmanager
    async def deadline(self) -> AsyncIterator[None]:
        """Cancel what is done within it when a request's time is over, and raise Timeout."""
        limit_s = self.settings.deadline_s
        try:
            async with asyncio.timeout(limit_s):
                yield
        except TimeoutError:
            raise Timeout(f"It took longer than the limit of {limit_s:g} s.") from None

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if self._active >= self.settings.max_requests:
            raise Overloaded(retry_after_s=1.0)
        self._active += 1
        try:
            yield
        finally:
            self._active -= 1


class _Run:
    """One track on its way."""

    def __init__(self, pipeline: Pipeline, on_progress: OnProgress) -> None:
        self._pipeline = pipeline
        self._on_progress = on_progress
        self._start = time.perf_counter()
        self._timings_ms: dict[str, float] = {}
        self._duration_s: float | None = None

    async def classify(self, source: AudioSource) -> Answer:
        self._tell("accepted")
        async with source.open() as stream:
            self._took("open", time.perf_counter() - self._start)
            info = stream.info
            self._duration_s = info.duration_s
            self._tell("found", title=info.title, duration_s=info.duration_s)
            async with self._pipeline._pool.lease() as track:
                decoded = await track.decode(self._download(stream), self._listened)
                verdict = await self._predict(decoded)
        self._took("total", time.perf_counter() - self._start)
        return Answer(
            title=info.title,
            verdict=verdict,
            duration_s=decoded.duration_s,
            clip_s=self._pipeline.front_end.clip_s,
            timings_ms=self._timings_ms,
        )

    async def _download(self, stream: AudioStream) -> AsyncIterator[bytes]:
        start = time.perf_counter()
        size, got, told = stream.info.size_bytes, 0, -1.0
        async for block in stream:
            got += len(block)
            # A hundred reports say as much as one for each block.
            if size and got / size - told >= 0.01:
                told = got / size
                self._tell("downloading", min(1.0, told))
            yield block
        self._took("download", time.perf_counter() - start)

    def _listened(self, seconds: float) -> None:
        fraction = min(1.0, seconds / self._duration_s) if self._duration_s else None
        self._tell("listening", fraction)

    async def _predict(self, decoded: Decoded) -> Verdict:
        self._took("decode", decoded.decode_s)
        self._took("mel", decoded.mel_s)
        self._tell("classifying")
        prediction = await self._pipeline._engine.predict(decoded.features, decoded.clips)
        self._took("queue", prediction.waited_s)
        self._took("inference", prediction.ran_s)
        self._pipeline.metrics.clips.inc(decoded.clips)
        start = time.perf_counter()
        verdict = aggregate(prediction.probabilities, self._pipeline.model.card.genres)
        self._took("aggregate", time.perf_counter() - start)
        return verdict

    def _took(self, stage: str, seconds: float) -> None:
        self._timings_ms[stage] = round(1000 * seconds, 3)
        self._pipeline.metrics.stages.labels(stage).observe(seconds)

    def _tell(
        self,
        stage: Stage,
        fraction: float | None = None,
        title: str | None = None,
        duration_s: float | None = None,
    ) -> None:
        seconds = round(time.perf_counter() - self._start, 3)
        self._on_progress(Progress(stage, fraction, seconds, title, duration_s))


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
