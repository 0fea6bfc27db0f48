"""A part of a track: samples from its beginning, or from a joint, up to the next joint.

Several processes can so decode one track. A joint is laid by the process that begins there, and
tried by the one that comes to it: only where that one finds the same samples at the same time
does it leave the rest to the other. A container's word on times and lengths is never trusted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain
from typing import Self

import numpy as np
from av import AudioFrame
from av.error import FFmpegError

from serve.audio.cancelling import Apart, cancelling
from serve.audio.frames import Frames, Unseekable
from serve.audio.mel import Float32
from serve.audio.messages import PART_S
from serve.audio.resample import Resampler, run_up

# Samples that both sides of a joint must have alike, bit for bit.
_COMPARED = 2048
# Clips that are tried for one that begins exactly at a sample of the container's.
_MAX_CLIPS_TRIED = 64


@dataclass(frozen=True, slots=True)
class Joint:
    """Where a part begins: at which sample of the track, when, and with what."""

    sample: int
    """at the rate of the output; the first of a clip"""
    time: str
    """when it is heard by the container's clock, in seconds, as a fraction"""
    digest: str
    """of the first samples"""


class Part:
    """Iterates over the mono samples of a part, full scale 1.0, in blocks, once.

    The samples of the track before `position` are passed over. With `apart` blocks have a column
    for the mean and for each channel: see `cancelling.Apart`.
    """

    def __init__(
        self, frames: Frames, sample_rate: int, position: int = 0, *, apart: bool = False
    ) -> None:
        self._frames = frames
        self._sample_rate = sample_rate
        self._resampler = Apart if apart else Resampler
        #: whether there are channels that cancel each other
        self.cancelling = False
        self._resampled = _after(self._resample(iter(frames)), position)
        self._rate = 0
        self._changed = False
        self._joint: Joint | None = None
        #: the place in the track, in samples, of what comes next
        self.position = position
        #: whether it ended at a joint
        self.joined = False
        #: whether it came to a joint that does not fit, and so goes on to the track's end
        self.parted = False
        #: seconds that the file says the whole track has; 0 where it does not say
        self.stated_s = 0.0

    @property
    def lost_s(self) -> float:
        """Seconds of packets that could not be decoded."""
        return self._frames.lost_s

    @classmethod
    def after(
        cls, frames: Frames, sample_rate: int, clip_samples: int, seconds: float
    ) -> tuple[Self, Joint]:
        """The part that begins with a clip near `seconds`, and its joint; raise Unseekable."""
        part = cls(frames, sample_rate)
        return part, part._lay(clip_samples, seconds)

    def until(self, joint: Joint) -> None:
        """Let it end at a joint, if that fits. To be called between blocks."""
        self._joint = joint
        self._frames.watch(joint.sample * self._rate // self._sample_rate)

    def __iter__(self) -> Iterator[Float32]:
        for samples in self._resampled:
            if self._joint is None or self.position + len(samples) <= self._joint.sample:
                self.position += len(samples)
                yield samples
                continue
            own = max(0, self._joint.sample - self.position)
            if own:
                self.position += own
                yield samples[:own]
            rest = self._gathered(samples[own:], _COMPARED)
            self.joined = self._fits(self._joint, rest)
            if self.joined:
                return
            self._joint, self.parted = None, True
            self.position += len(rest)
            yield rest

    def _gathered(self, samples: Float32, least: int) -> Float32:
        """The samples, and those that follow, up to at least that many."""
        held = [samples]
        while sum(map(len, held)) < least and (more := next(self._resampled, None)) is not None:
            held.append(more)
        return np.concatenate(held)

    def _fits(self, joint: Joint, samples: Float32) -> bool:
        return (
            self.position == joint.sample
            and not self._changed
            and str(self._frames.time) == joint.time
            and _digest(samples) == joint.digest
        )

    def _lay(self, clip_samples: int, seconds: float) -> Joint:
        frame = self._frames.seek(seconds)
        rate, sample_rate = frame.sample_rate, self._sample_rate
        earliest = math.ceil(self._frames.settled * sample_rate / rate / clip_samples)
        for clip in range(earliest, earliest + _MAX_CLIPS_TRIED):
            first, rest = divmod(clip * clip_samples * rate, sample_rate)
            begin, dropped = run_up(first, rate, sample_rate)
            if not rest and begin >= self._frames.settled:
                break
        else:
            raise Unseekable
        self._frames.watch(first)
        frames = iter(self._frames)
        while self._frames.end <= begin:
            if (following := next(frames, None)) is None:
                raise Unseekable
            frame = following
        skipped = begin - self._frames.position
        self._resampled = self._resample(chain([frame], frames), skipped, begin)
        samples = self._gathered(np.empty(0, np.float32), dropped + _COMPARED)[dropped:]
        self._resampled = chain([samples], self._resampled)
        self.position = clip * clip_samples
        if self._frames.time is None or self._changed:
            raise Unseekable
        return Joint(self.position, str(self._frames.time), _digest(samples))

    def _resample(
        self, frames: Iterator[AudioFrame], skipped: int = 0, begin: int = 0
    ) -> Iterator[Float32]:
        resampler: Resampler | Apart | None = None
        setup = None
        for frame in frames:
            # A stream may change its format on the way, as chained Ogg and AAC with SBR do.
            if (found := (frame.format.name, frame.layout.name, frame.sample_rate)) != setup:
                try:
                    following = self._resampler(frame, self._sample_rate, skipped, begin)
                except FFmpegError:  # no such format: the decoder was given another codec's bytes
                    self._frames.lost_s += frame.samples / max(1, frame.sample_rate)
                    continue
                if resampler:
                    self._changed = True
                    yield from resampler.end()
                    self._look_at(resampler.faint)
                setup = found
                self._rate = frame.sample_rate
                resampler = following
                skipped = begin = 0
            assert resampler
            if resampler.push(frame):
                yield from resampler.blocks()
                self._look_at(resampler.faint)
        # What is broken off is gone on with elsewhere: its end is not the track's.
        if resampler and not self._frames.broken_off:
            yield from resampler.end()
            self._look_at(resampler.faint)

    def _look_at(self, faint: list[AudioFrame]) -> None:
        self.cancelling = self.cancelling or any(map(cancelling, faint))


def part_begin_s(duration_s: float | None, done_s: float, number: int, parts: int) -> float:
    """When part `number` (from 1 on) of a track should begin, in seconds; raise Unseekable.

    Part 0 has done the first `done_s`; what is left is shared by all parts alike.
    """
    left_s = (duration_s or 0.0) - done_s
    parts = min(parts, int(left_s / PART_S))
    if number >= parts:
        raise Unseekable
    return done_s + left_s * number / parts


def _after(blocks: Iterator[Float32], position: int) -> Iterator[Float32]:
    for block in blocks:
        if position < len(block):
            yield block[position:]
        position = max(0, position - len(block))


def _digest(samples: Float32) -> str:
    return blake2b(samples[:_COMPARED].tobytes(), digest_size=16).hexdigest()
