"""The job of one track, from its source to the answer."""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from serve.answer import (
    Answer,
    MelPicture,
    Model,
    OnProgress,
    Outcome,
    Progress,
    Stage,
    warnings_of,
)
from serve.audio.inflow import Inflow
from serve.audio.picture import mel_picture
from serve.audio.track import Decoded, Stalled
from serve.errors import Origin, TopgenreError
from serve.inference.aggregate import Verdict, aggregate
from serve.pipeline.parts import Parts
from serve.pipeline.waiting import Guest
from serve.sources.stream import AudioSource, AudioStream, SourceInfo

#: Looks up the outcome of a track by the SHA-256 of its bytes, in hexadecimal; None if unknown.
Lookup = Callable[[str], Awaitable[Outcome | None]]

# A track that begins with the same bytes as a known one is most likely that one.
_HEAD_BYTES = 4096
# Up to this many bytes of such a track are held back from the decoders until it is complete.
_MAX_HELD_BYTES = 64 << 20
# A decoder is leased once this many bytes of a track have arrived, or all of it; it then waits for
# more for at most `_IDLE_S` seconds.
_ENOUGH_BYTES = 128 << 10
_IDLE_S = 1.0
# Bytes to buffer while the track waits for a decoder.
_AHEAD_BYTES = 4 << 20


class Job:
    """One track. With a `lookup` its bytes are hashed, and a known outcome is returned.

    `place` is entered once there are bytes to decode; it may raise Overloaded.
    """

    def __init__(
        self,
        parts: Parts,
        source: AudioSource,
        on_progress: OnProgress,
        lookup: Lookup | None = None,
        place: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._parts = parts
        self._source = source
        self._on_progress = on_progress
        self._lookup = lookup
        self._place = place
        self._guest = Guest(parts.room)
        self._start = time.perf_counter()
        self._timings_ms: dict[str, float] = {}
        self._head: bytes | None = None
        self._told: float | None = None
        self._waits_for: Origin = source.origin
        #: the known outcome, set once the track has arrived
        self._known: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        #: SHA-256 of the track, in hexadecimal, once it has arrived and turned out to be unknown
        self.digest: str | None = None

    async def work(self) -> Answer:
        """The answer. Raises TopgenreError; releases everything it holds, however it ends."""
        self._tell("accepted")
        async with self._source.open() as stream:
            self._took("open", time.perf_counter() - self._start)
            info = stream.info
            self._tell("found", title=info.title, duration_s=info.duration_s)
            blocks = self._download(stream, info)
            if self._lookup is None:
                return await self._listen(blocks, info)
            outcome = await self._listen_or_recall(blocks, info)
        if self._head:
            self._parts.heads.add(self._head)
        if isinstance(outcome, TopgenreError):
            raise outcome
        return outcome

    async def _listen_or_recall(self, blocks: AsyncIterator[bytes], info: SourceInfo) -> Outcome:
        """The answer, or the known outcome as soon as the whole track has arrived."""
        async with self._guest.waiting():
            blocks = await self._held(blocks)
        if not self._known.done():
            listening = asyncio.ensure_future(self._listen(blocks, info))
            try:
                first = asyncio.FIRST_COMPLETED
                await asyncio.wait((listening, self._known), return_when=first)
                if not self._known.done():
                    return await listening
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
        return self._recalled(self._known.result(), info)

    def _recalled(self, known: Outcome, info: SourceInfo) -> Outcome:
        if isinstance(known, TopgenreError):
            return known
        self._took("total", time.perf_counter() - self._start)
        timings_ms = self._timings_ms | {"cache": known.timings_ms["cache"]}
        return replace(known, video_title=info.title, timings_ms=timings_ms)

    async def _held(self, blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The same blocks, after waiting for all of them if the track begins like a known one."""
        held: deque[bytes] = deque()
        size = 0
        async for block in blocks:
            held.append(block)
            size += len(block)
            if self._head is None and size >= _HEAD_BYTES:
                self._head = hashlib.sha256(b"".join(held)[:_HEAD_BYTES]).digest()
                if self._head not in self._parts.heads:
                    break
                self._tell_download(0.0)
            if size > _MAX_HELD_BYTES:
                break
        return _chained(held, blocks)

    async def _listen(self, blocks: AsyncIterator[bytes], info: SourceInfo) -> Answer:
        async with self._parts.pool.inflow(blocks) as inflow:
            self._tell_download(0.0 if info.size_bytes else None)
            enough: float = _ENOUGH_BYTES
            while True:
                # A slow sender must not hold a decoder or a place: a track that stalls gives both
                # back, and gets new ones when it is complete.
                async with self._guest.waiting():
                    await inflow.until(enough)
                try:
                    decoded, verdict, picture = await self._decode(inflow, info)
                    break
                except Stalled:
                    enough = math.inf
        self._took("total", time.perf_counter() - self._start)
        model, card = self._parts.model, self._parts.model.card
        return Answer(
            video_title=info.title,
            top_prediction=verdict.top,
            results=verdict.results,
            music=verdict.music,
            tags=verdict.tags,
            duration_s=round(decoded.duration_s, 3),
            clip_s=self._parts.front_end.clip_s,
            timeline=verdict.timeline,
            warnings=warnings_of(decoded.lost_s, decoded.duration_s, decoded.cancelled_s),
            model=Model(card.name, card.version, model.sha256),
            provider=model.provider,
            timings_ms=self._timings_ms,
            clips=verdict.clips,
            mel=picture,
        )

    async def _decode(
        self, inflow: Inflow, info: SourceInfo
    ) -> tuple[Decoded, Verdict, MelPicture]:
        # If the track turns out to be known, the decoder is killed in the middle and has to be
        # replaced. That is why a track that begins like a known one is held back.
        with self._place():
            inflow.want(_AHEAD_BYTES)
            async with self._parts.pool.lease() as track:
                decoded = await track.decode(inflow, self._listened(info), _IDLE_S)
                return decoded, *await asyncio.gather(self._predict(decoded), _picture(decoded))

    async def _download(self, stream: AudioStream, info: SourceInfo) -> AsyncIterator[bytes]:
        start = time.perf_counter()
        size, got = info.size_bytes, 0
        hashed = hashlib.sha256() if self._lookup else None
        async for block in stream:
            got += len(block)
            self._guest.grow(len(block))
            if hashed:
                hashed.update(block)
            # One report per percent is enough.
            if size and self._told is not None and min(1.0, got / size) - self._told >= 0.01:
                self._tell_download(got / size)
            yield block
        self._took("download", time.perf_counter() - start)
        if hashed and self._lookup:
            digest = hashed.hexdigest()
            if (known := await self._lookup(digest)) is not None:
                self._known.set_result(known)
                return
            self.digest = digest
        if self._told != 1.0:
            self._tell_download(1.0)

    def _tell_download(self, fraction: float | None) -> None:
        self._told = min(1.0, fraction or 0.0)
        self._waits_for = self._source.origin if self._told < 1.0 else "server"
        self._tell("downloading", fraction and self._told)

    def _listened(self, info: SourceInfo) -> Callable[[float], None]:
        def tell(seconds: float) -> None:
            fraction = min(1.0, seconds / info.duration_s) if info.duration_s else None
            self._tell("listening", fraction)

        return tell

    async def _predict(self, decoded: Decoded) -> Verdict:
        self._took("decode", decoded.decode_s)
        self._took("mel", decoded.mel_s)
        self._tell("classifying")
        prediction = await self._parts.engine.predict(decoded.features, decoded.clips)
        self._took("queue", prediction.waited_s)
        self._took("inference", prediction.ran_s)
        self._parts.metrics.clips.inc(decoded.clips)
        start = time.perf_counter()
        verdict = aggregate(prediction.clips, self._parts.model.card, self._parts.front_end.clip_s)
        self._took("aggregate", time.perf_counter() - start)
        return verdict

    def _took(self, stage: str, seconds: float) -> None:
        self._timings_ms[stage] = round(1000 * seconds, 3)
        self._parts.metrics.stages.labels(stage).observe(seconds)

    def _tell(
        self,
        stage: Stage,
        fraction: float | None = None,
        title: str | None = None,
        duration_s: float | None = None,
    ) -> None:
        self._on_progress(
            Progress(
                stage, fraction, video_title=title, duration_s=duration_s, waits_for=self._waits_for
            )
        )


async def _chained(held: deque[bytes], blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    while held:
        yield held.popleft()
    async for block in blocks:
        yield block


async def _picture(decoded: Decoded) -> MelPicture:
    # Always made, so that all answers are alike; it costs no time, as the model is running.
    return await asyncio.to_thread(mel_picture, decoded.features[: decoded.clips])
