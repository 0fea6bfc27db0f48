"""One track through its decoder, and through those that have nothing else to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from serve.audio import messages
from serve.audio.decoder import Decoder
from serve.audio.shared import SharedMedia
from serve.errors import Internal, Silent, from_code

# The server itself makes no spectrogram: it starts sooner without SciPy.
if TYPE_CHECKING:
    from serve.audio.mel import Float32

# Media of less than two of these is left to one decoder.
_PART_BYTES = 1 << 18

Borrowed = Callable[[int], AbstractAsyncContextManager[list[Decoder]]]


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded track: its features (capacity, frames, mel bands), of which `clips` are filled.

    `decode_s` and `mel_s` are seconds of work, waiting for bytes left out, of the decoder that
    worked longest. The array is the first decoder's own and valid while the track is leased.
    """

    features: Float32
    clips: int
    duration_s: float
    decode_s: float
    mel_s: float
    parts: int
    """into which it was parted for as many decoders"""


class Track:
    """A decoder for one track; `borrowed` lends further ones that are free, up to a number."""

    def __init__(self, first: Decoder, borrowed: Borrowed, max_bytes: int) -> None:
        self._first = first
        self._borrowed = borrowed
        self._max_bytes = max_bytes

    async def decode(
        self, blocks: AsyncIterator[bytes], on_seconds: Callable[[float], None]
    ) -> Decoded:
        """Take in a track's encoded bytes and wait for its features.

        What is left when all bytes are there is shared among the free decoders. `on_seconds` hears
        of the seconds decoded so far. Raises what `blocks` raises, and the decoder's typed error
        (undecodable, too_long, too_short, silent, …).
        """
        with SharedMedia(self._max_bytes) as media:
            first = _Part(self._first, lambda: on_seconds(first.seconds))
            first.begin(media, self._first, number=0, parts=1, done_s=0.0)
            feeding = asyncio.ensure_future(self._feed(blocks, media))
            try:
                await asyncio.wait((feeding, first.answer), return_when=asyncio.FIRST_COMPLETED)
                if first.answer.done():
                    answers = [await first.answer]
                    await feeding
                else:
                    await feeding
                    answers = await self._share(media, first, on_seconds)
            finally:
                await _cancel(feeding, first.answer)
        return self._decoded(answers)

    async def _feed(self, blocks: AsyncIterator[bytes], media: SharedMedia) -> None:
        async for block in blocks:
            media.write(block)
            self._first.send(messages.GROWN, size=media.size)
        self._first.send(messages.END)

    async def _share(
        self, media: SharedMedia, first: _Part, on_seconds: Callable[[float], None]
    ) -> list[dict[str, Any]]:
        """The answers of the parts that make up the track, in order."""
        async with self._borrowed(media.size // _PART_BYTES - 1) as decoders:

            def tell() -> None:
                on_seconds(sum(part.seconds for part in parts))

            first.tell = tell
            others = [_Part(decoder, tell) for decoder in decoders]
            parts = [first, *others]
            for number, part in enumerate(others, start=1):
                part.begin(
                    media, self._first, number=number, parts=len(parts), done_s=first.seconds
                )
                part.send(messages.GROWN, size=media.size)
                part.send(messages.END)
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
                await _cancel(laid, *(part.answer for part in others))

    def _decoded(self, answers: list[dict[str, Any]]) -> Decoded:
        features = self._first.features.array
        clips, duration_s = int(answers[-1]["clips"]), float(answers[-1]["duration_s"])
        # What comes from there has been near strangers' bytes.
        if not 0 < clips <= len(features):
            raise Internal("The decoder could not be understood.")
        if all(answer["silent"] for answer in answers):
            raise Silent
        decode_s, mel_s = (max(float(a[name]) for a in answers) for name in ("decode_s", "mel_s"))
        return Decoded(features, clips, duration_s, decode_s, mel_s, len(answers))


class _Part:
    """A track, or a part of one, in a decoder."""

    def __init__(self, decoder: Decoder, tell: Callable[[], None]) -> None:
        self._decoder = decoder
        self.tell = tell
        #: seconds decoded
        self.seconds = 0.0
        loop = asyncio.get_running_loop()
        #: where it begins; None where it can't begin in the middle
        self.joint: asyncio.Future[dict[str, Any] | None] = loop.create_future()
        #: done when it has come to a joint that does not fit
        self.parted: asyncio.Future[None] = loop.create_future()
        self.answer: asyncio.Future[dict[str, Any]]
        self.send = decoder.send

    def begin(self, media: SharedMedia, first: Decoder, **job: Any) -> None:
        self._decoder.begin(media, first.features, **job)
        self.answer = asyncio.ensure_future(self._listen())

    async def _listen(self) -> dict[str, Any]:
        try:
            while True:
                kind, values = await self._decoder.receive()
                if kind == messages.PROGRESS:
                    self.seconds = values["seconds"]
                    self.tell()
                elif kind == messages.JOINT:
                    self.joint.set_result(values)
                elif kind == messages.PARTED:
                    self.parted.set_result(None)
                elif kind == messages.FAILED:
                    raise from_code(values["code"], values["text"])
                else:
                    return values
        finally:
            if not self.joint.done():
                self.joint.set_result(None)


async def _answers(parts: list[_Part]) -> list[dict[str, Any]]:
    answers = []
    for number, part in enumerate(parts):
        await asyncio.wait((part.answer, part.parted), return_when=asyncio.FIRST_COMPLETED)
        if not part.answer.done():
            # It goes on to the end of the track. What the others still write must come before.
            others = parts[number + 1 :]
            for other in others:
                other.send(messages.ALONE)
            await asyncio.gather(*(other.answer for other in others), return_exceptions=True)
            part.send(messages.ALONE)
        answers.append(await part.answer)
        if not answers[-1]["joined"]:
            break
    return answers


async def _cancel(*futures: asyncio.Future[Any]) -> None:
    for future in futures:
        future.cancel()
    await asyncio.gather(*futures, return_exceptions=True)
