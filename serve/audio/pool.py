"""The decoder processes: a few, warm, each with one track, or part of a track, at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

from serve.audio.decoder import Decoder
from serve.audio.features import FeatureStream
from serve.audio.frontend import FrontEnd
from serve.audio.inflow import Inflow
from serve.audio.shared import SharedFeatures
from serve.audio.track import LeasedTrack
from serve.backoff import pauses_s
from serve.errors import unexpected

_LOG = logging.getLogger(__name__)
# A decoder that does not come up is tried again, slower and slower.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 10.0


class DecoderPool:
    """Keeps `size` decoders alive and lends them out one track at a time.

    Each has at most `memory_bytes` of address space, and `cpu_s` of processor time for a track.
    A decoder may go on while its last track is not done with: so twice as many tracks may have
    memory for their features. Each has its own: nobody who has seen one track can reach another.

    A decoder that was interrupted in a track is killed. One that has ended, in a track or with
    nothing to do, is replaced.
    """

    def __init__(
        self,
        front_end: FrontEnd,
        *,
        size: int,
        max_duration_s: float,
        memory_bytes: int,
        cpu_s: float = 30.0,
    ) -> None:
        self._front_end = front_end
        self._size = size
        self._max_duration_s = max_duration_s
        self._memory_bytes = memory_bytes
        self._cpu_s = cpu_s
        self._idle: asyncio.Queue[Decoder] = asyncio.Queue()
        self._tracks = asyncio.Semaphore(2 * size)
        self._waiting = 0
        capacity = FeatureStream.capacity(front_end, max_duration_s)
        self._features_shape = (capacity, *front_end.clip_shape)
        self._all: set[Decoder] = set()
        self._keepers: list[asyncio.Task[None]] = []
        # Of the keepers, those whose last decoder did not come up.
        self._failing = 0

    @property
    def alive(self) -> int:
        """Decoders that can work or do."""
        return sum(decoder.alive for decoder in self._all)

    @property
    def idle(self) -> int:
        """Decoders that wait for a track."""
        return sum(decoder.alive and decoder.idle for decoder in self._all)

    @property
    def busy(self) -> int:
        """Decoders that have a core's work; any thread may ask."""
        return sum(decoder.alive and decoder.busy for decoder in tuple(self._all))

    @property
    def load(self) -> float:
        """Decoders at work and tracks that wait for one, of all decoders: above 1 tracks queue."""
        return (self.busy + self._waiting) / self._size

    @property
    def ready(self) -> bool:
        """Whether a track finds a decoder: at once, or when the next one has come up."""
        return bool(self._keepers) and (self.alive > 0 or self._failing < self._size)

    @property
    def confinement(self) -> dict[str, Any] | None:
        """What the decoders are refused, by the one that is refused least; None without any."""
        told = (decoder.confinement for decoder in self._all if decoder.alive)
        return min(told, key=lambda one: len(one["refused"]), default=None)

    async def start(self) -> None:
        """Start all decoders; raise a TopgenreError where one does not come up."""
        try:
            async with asyncio.TaskGroup() as starts:
                added = [starts.create_task(self._add()) for _ in range(self._size)]
        except ExceptionGroup as group:
            await self.stop()
            raise unexpected(group.exceptions[0]) from group
        self._keepers = [asyncio.create_task(self._keep(task.result())) for task in added]

    async def stop(self) -> None:
        """Stop all decoders; those that work are killed."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        self._keepers, self._failing = [], 0
        await asyncio.gather(*(decoder.stop() for decoder in self._all))
        self._all.clear()
        self._idle = asyncio.Queue()

    def inflow(self, blocks: AsyncIterator[bytes]) -> Inflow:
        """Where a track's encoded bytes are gathered, as many as a decoder could take."""
        return Inflow(blocks, self._memory_bytes)

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[LeasedTrack]:
        """Wait for a free decoder and have it until it is done with the track, or left.

        What it makes of the track is there until the context is left.
        """
        async with AsyncExitStack() as place:
            with self._wait():
                await place.enter_async_context(self._tracks)
                decoder = await self._quiet()
            async with AsyncExitStack() as held:
                held.push_async_callback(self._give_back, decoder)
                with SharedFeatures(self._features_shape) as features:
                    yield LeasedTrack(decoder, features, self._borrowed, held.aclose)

    @contextmanager
    def _wait(self) -> Iterator[None]:
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    async def _quiet(self) -> Decoder:
        # One may have ended while it had nothing to do, or have said something.
        while not await self._is_quiet(decoder := await self._idle.get()):
            await _end(decoder)
        return decoder

    async def _is_quiet(self, decoder: Decoder) -> bool:
        try:
            return await decoder.is_quiet()
        except BaseException:  # cancelled: whoever takes it next asks again
            self._idle.put_nowait(decoder)
            raise

    @asynccontextmanager
    async def _borrowed(self, most: int) -> AsyncIterator[list[Decoder]]:
        """Those that are free at this moment, up to `most`, until the context is left."""
        decoders: list[Decoder] = []
        while len(decoders) < most and not self._idle.empty():
            decoder = self._idle.get_nowait()
            if decoder.alive:
                decoders.append(decoder)
        try:
            yield decoders
        finally:
            await asyncio.gather(*map(self._give_back, decoders))

    async def _give_back(self, decoder: Decoder) -> None:
        if decoder.idle and await self._is_quiet(decoder):
            self._idle.put_nowait(decoder)
        else:
            # When this is over, nothing writes to the track's memory any more.
            await _end(decoder)

    async def _add(self) -> Decoder:
        decoder = await Decoder.start(
            self._front_end, self._max_duration_s, self._cpu_s, self._memory_bytes
        )
        self._all.add(decoder)
        self._idle.put_nowait(decoder)
        return decoder

    async def _keep(self, decoder: Decoder) -> None:
        """See to it that there is always one: this, or one in its place."""
        while True:
            await decoder.ended()
            await _end(decoder)
            self._all.discard(decoder)
            decoder = await self._replacement()

    async def _replacement(self) -> Decoder:
        failed = False
        pauses = pauses_s(_FIRST_PAUSE_S, _LONGEST_PAUSE_S)
        while True:
            try:
                decoder = await self._add()
            except Exception as error:  # a keeper that ended would take its decoder with it
                # The first that fails counts, until one comes up.
                self._failing += not failed
                failed, pause_s = True, next(pauses)
                _LOG.error("No decoder: %s Trying again in %g s.", error, pause_s)
                await asyncio.sleep(pause_s)
            else:
                self._failing -= failed
                return decoder


async def _end(decoder: Decoder) -> None:
    try:
        await decoder.kill()
    except Exception:  # neither a keeper nor somebody's track is to end with it
        _LOG.exception("A decoder has ended, but not everything of it.")
