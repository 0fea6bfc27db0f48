"""One track through its decoder, and through those that have nothing else to do."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

from serve.audio import messages
from serve.audio.decoder import Decoder, Lost, NotUnderstood
from serve.audio.inflow import Inflow
from serve.audio.shared import SharedFeatures, SharedMedia
from serve.errors import Silent, TopgenreError, from_child

# The server itself makes no spectrogram: it starts sooner without SciPy.
if TYPE_CHECKING:
    from serve.audio.mel import Float32

_LOG = logging.getLogger(__name__)
# Media of less than two of these is left to one decoder: most often that is short, too.
_PART_BYTES = 1 << 18
# Bytes a second that a decoder is worth while a track arrives: what comes more slowly is decoded
# in no time when all of it is there.
_WORTH_BYTES = 8192
# What a decoder may say of a track.
_CODES = {
    *("undecodable", "too_long", "too_short", "too_big", "silent", "overloaded", "internal"),
}
# Longer than any track that is taken: as many decoders as there are may help.
_UNKNOWN_S = 1e6


class Stalled(Exception):
    """No more bytes have come for a while: the decoder is wanted by others."""


Borrowed = Callable[[int], AbstractAsyncContextManager[list[Decoder]]]


@dataclass(frozen=True, slots=True)
class Done:
    """What a decoder says of a part that it has done: see `work.Work.do`."""

    clips: int
    duration_s: float
    decode_s: float
    mel_s: float
    silent: bool
    joined: bool
    lost_s: float
    stated_s: float
    cancelling: bool
    cancelled_s: float

    @classmethod
    def told(cls, kind: bytes, **values: Any) -> Self:
        """From a message; TypeError or ValueError for another one, or for what can't be."""
        done = cls(**values)
        if kind != messages.DONE or not isinstance(done.clips, int):
            raise ValueError(kind)
        for number in (done.clips, done.duration_s, done.decode_s, done.mel_s):
            _number(number)
        for number in (done.lost_s, done.stated_s, done.cancelled_s):
            _number(number)
        return done


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded track: its features (capacity, frames, mel bands), of which `clips` are filled.

    `lost_s` of the file could not be read, as far as that can be told; for `cancelled_s` its
    channels cancel each other, and were turned the same way before their mean was heard.
    `decode_s` and `mel_s` are seconds of work, waiting for bytes left out, of the decoder that
    worked longest. The array is valid while the track is leased.
    """

    features: Float32
    clips: int
    duration_s: float
    decode_s: float
    mel_s: float
    parts: int
    """into which it was parted for as many decoders"""
    lost_s: float
    cancelled_s: float


class LeasedTrack:
    """A decoder for one track, and memory for its features.

    `borrowed` lends further decoders that are free, up to a number. `decoded` is called when the
    track is decoded: then the decoder may go on to the next.
    """

    def __init__(
        self,
        first: Decoder,
        features: SharedFeatures,
        borrowed: Borrowed,
        decoded: Callable[[], Awaitable[None]],
    ) -> None:
        self._first = first
        self._features = features
        self._borrowed = borrowed
        self._when_decoded = decoded

    async def decode(
        self,
        inflow: Inflow,
        on_seconds: Callable[[float], None],
        idle_s: float = math.inf,
    ) -> Decoded:
        """Wait for the features of a track whose encoded bytes arrive.

        What is left when all bytes are there is shared among the free decoders. `on_seconds` hears
        of the seconds decoded so far. Raises what the inflow raises, Stalled where no byte comes
        for `idle_s` seconds or few come in the long run, and the decoder's typed error
        (undecodable, too_long, too_short, silent, …).
        """
        media = inflow.media
        first = _Part(
            self._first,
            media,
            self._features,
            lambda: on_seconds(first.seconds),
            number=0,
            parts=1,
            done_s=0.0,
        )
        feeding = asyncio.ensure_future(self._feed(inflow, idle_s))
        try:
            await asyncio.wait((feeding, first.answer), return_when=asyncio.FIRST_COMPLETED)
            if first.answer.done():
                answers = [await first.answer]
                await feeding
            else:
                await feeding
                answers = await self._share(media, first, on_seconds)
            if any(answer.cancelling for answer in answers):
                answers = [await self._apart(media)]
        finally:
            await _cancel(feeding, first.answer)
        await self._when_decoded()
        return self._decoded(answers)

    async def _apart(self, media: SharedMedia) -> Done:
        """The answer of the whole track again, with its channels looked at one by one."""
        part = _Part(
            self._first,
            media,
            self._features,
            lambda: None,
            number=0,
            parts=1,
            done_s=0.0,
            apart=True,
        )
        part.end()
        try:
            return await part.answer
        finally:
            await _cancel(part.answer)

    async def _feed(self, inflow: Inflow, idle_s: float) -> None:
        # A few bytes now and then are no reason to keep a decoder: each is worth its time alone.
        fed, left_s = 0, idle_s
        while not (inflow.ended and fed == inflow.size):
            start = time.monotonic()
            if not await inflow.more_than(fed, left_s):
                raise Stalled
            left_s = max(0.0, left_s - (time.monotonic() - start))
            left_s = min(idle_s, left_s + (inflow.size - fed) / _WORTH_BYTES)
            fed = inflow.size
            self._first.send(messages.GROWN, size=fed)
        self._first.send(messages.END)

    async def _share(
        self, media: SharedMedia, first: _Part, on_seconds: Callable[[float], None]
    ) -> list[Done]:
        """The answers of the parts that make up the track, in order."""
        # Who is lent for nothing may still look for where to begin when the track is done, and
        # would have to be killed.
        parts_left = min(media.size // _PART_BYTES, first.left_s(media.size) // messages.PART_S)
        async with self._borrowed(int(parts_left) - 1) as decoders:

            def tell() -> None:
                on_seconds(sum(part.seconds for part in parts))

            first.tell = tell
            others = [
                _Part(
                    decoder,
                    media,
                    self._features,
                    tell,
                    number=number,
                    parts=1 + len(decoders),
                    done_s=first.seconds,
                )
                for number, decoder in enumerate(decoders, start=1)
            ]
            parts = [first, *others]
            for part in others:
                part.end()
            laid = asyncio.gather(*(part.joint for part in others))
            try:
                await asyncio.wait((laid, first.answer), return_when=asyncio.FIRST_COMPLETED)
                if first.answer.done():
                    return [await first.answer]
                parts = [first, *(part for part in others if part.joint.result())]
                for part, following in pairwise(parts):
                    part.send(messages.UNTIL, **(following.joint.result() or {}))
                return await _answers(parts)
            finally:
                await _cancel(laid, *(part.answer for part in (*parts[1:], *others)))

    def _decoded(self, answers: list[Done]) -> Decoded:
        features = self._features.array
        clips, duration_s = answers[-1].clips, answers[-1].duration_s
        missing_s = answers[0].stated_s - duration_s
        lost_s = max(
            sum(answer.lost_s for answer in answers),
            missing_s if missing_s > messages.TOLERATED_S else 0.0,
        )
        # What comes from there has been near strangers' bytes.
        if not 0 < clips <= len(features):
            raise NotUnderstood
        if all(answer.silent for answer in answers):
            raise Silent
        decode_s, mel_s = max(a.decode_s for a in answers), max(a.mel_s for a in answers)
        parts, cancelled_s = len(answers), answers[0].cancelled_s
        return Decoded(features, clips, duration_s, decode_s, mel_s, parts, lost_s, cancelled_s)


class _Part:
    """A track, or a part of one, in a decoder."""

    def __init__(
        self,
        decoder: Decoder,
        media: SharedMedia,
        features: SharedFeatures,
        tell: Callable[[], None],
        **job: Any,
    ) -> None:
        self.decoder = decoder
        self.tell = tell
        self._memory = media, features
        self._job = job
        #: seconds decoded
        self.seconds = 0.0
        # What was read of the media for that; 0 where that tells nothing.
        self._taken_bytes = 0.0
        loop = asyncio.get_running_loop()
        #: where it begins; None where it can't begin in the middle
        self.joint: asyncio.Future[dict[str, Any] | None] = loop.create_future()
        #: done when it has come to a joint that does not fit
        self.parted: asyncio.Future[None] = loop.create_future()
        self.send = decoder.send
        decoder.begin(media, features, **job)
        self.answer = asyncio.ensure_future(self._listen())

    def left_s(self, size: int) -> float:
        """About the seconds that are left to do of `size` bytes; more where that can't be told."""
        # At first more is read than is decoded: the head of the file, and what lies ready.
        if self.seconds < messages.PART_S / 2 or not self._taken_bytes:
            return _UNKNOWN_S
        return self.seconds * (size / self._taken_bytes - 1.0)

    def end(self) -> None:
        """Tell that all of the media is there."""
        self.send(messages.GROWN, size=self._memory[0].size)
        self.send(messages.END)

    def again(self, decoder: Decoder) -> _Part:
        """The same part in another decoder."""
        part = _Part(decoder, *self._memory, self.tell, **self._job)
        part.end()
        return part

    async def _listen(self) -> Done:
        try:
            while True:
                kind, values = await self.decoder.receive()
                if kind == messages.PROGRESS:
                    self.seconds = _number(values["seconds"])
                    self._taken_bytes = _number(values["taken_bytes"])
                    self.tell()
                elif kind == messages.JOINT:
                    self.joint.set_result(_joint(**values))
                elif kind == messages.PARTED:
                    self.parted.set_result(None)
                elif kind == messages.FAILED:
                    raise _failure(**values)
                elif kind == messages.UNSEEKABLE:
                    raise Lost("This can't be parted.")
                else:
                    return Done.told(kind, **values)
        except (KeyError, TypeError, ValueError, asyncio.InvalidStateError) as error:
            # It has been near strangers' bytes, and may be theirs by now.
            _LOG.error("a decoder says what it can't mean: %r", error)
            await self.decoder.kill()
            raise NotUnderstood from error
        finally:
            if not self.joint.done():
                self.joint.set_result(None)


async def _answers(parts: list[_Part]) -> list[Done]:
    answers = []
    for number in range(len(parts)):
        try:
            answer = await _answer(parts, number)
        except Lost:
            if not number:
                raise
            _LOG.warning("part %d of a track is decoded again", number)
            # Those before it have answered, so the first decoder has nothing else to do.
            await _begin_again(parts, number)
            answer = await _answer(parts, number)
        answers.append(answer)
        if not answer.joined:
            break
    return answers


async def _answer(parts: list[_Part], number: int) -> Done:
    part = parts[number]
    await asyncio.wait((part.answer, part.parted), return_when=asyncio.FIRST_COMPLETED)
    if not part.answer.done():
        # It goes on to the end of the track. What the others still write must come before.
        others = parts[number + 1 :]
        for other in others:
            other.send(messages.ALONE)
        await asyncio.gather(*(other.answer for other in others), return_exceptions=True)
        part.send(messages.ALONE)
    return await part.answer


async def _begin_again(parts: list[_Part], number: int) -> None:
    lost, following = parts[number], parts[number + 1 : number + 2]
    parts[number] = part = lost.again(parts[0].decoder)
    if await part.joint != lost.joint.result():
        raise Lost
    for other in following:
        part.send(messages.UNTIL, **(other.joint.result() or {}))


def _number(value: object) -> float:
    if not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(value)
    return value


def _joint(*, sample: int, time: str, digest: str) -> dict[str, Any]:
    return {"sample": int(_number(sample)), "time": str(time), "digest": str(digest)}


def _failure(*, code: str, text: str, detail: str) -> TopgenreError:
    if detail:
        _LOG.warning("a decoder failed: %.1000r", detail)
    return from_child(code, text, _CODES)


async def _cancel(*futures: asyncio.Future[Any]) -> None:
    for future in futures:
        future.cancel()
    await asyncio.gather(*futures, return_exceptions=True)
