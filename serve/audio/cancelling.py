"""Channels that cancel each other out, as where one cable of two was wired the wrong way round.

Nothing would be heard of them in their mean. Clips in which that happens are heard with the
channels turned the same way instead; as each clip is heard alone, there are no seams.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np
from av import AudioFrame, AudioLayout

from serve.audio.mel import Float32
from serve.audio.resample import Gathered, Mono

# The mean square of what can be heard, and how many times more the channels must have of that than
# their mean, for each of them. Channels that have nothing to do with each other have once as much.
_AUDIBLE = 1e-8
_CANCELLED = 8
_MOST_CHANNELS = 8
# So many samples are looked at together, and so many from the first of them to the next to look at.
_TOGETHER, _LOOKED_AT = 1024, 1 << 15


def cancel(mean: Float32, channels: Float32) -> bool:
    """Whether next to nothing is left in the mean (samples) of what is in (channels, samples)."""
    energy, left = np.vdot(channels, channels), np.vdot(mean, mean)
    return bool(
        energy > _AUDIBLE * channels.size and energy > _CANCELLED * len(channels) ** 2 * left
    )


def cancelling(frame: AudioFrame) -> bool:
    """Whether the channels of a frame cancel each other, somewhere in it."""
    channels = _channels(frame)
    parts = (channels[:, at : at + _TOGETHER] for at in range(0, channels.shape[1], _LOOKED_AT))
    return any(cancel(part.mean(axis=0), part) for part in parts)


def _channels(frame: AudioFrame) -> Float32:
    samples = frame.to_ndarray()
    if frame.format.is_packed:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    if samples.dtype.kind in "iu":
        whole = np.iinfo(cast(np.dtype[np.int32], samples.dtype))
        half = (int(whole.max) - int(whole.min) + 1) / 2
        samples = (samples.astype(np.float32) - np.float32(whole.min + half)) / np.float32(half)
    return samples[_heard(frame.layout)].astype(np.float32)


def _heard(layout: AudioLayout) -> list[int]:
    """The channels that count in a mean: subwoofers don't."""
    heard = [at for at, channel in enumerate(layout.channels) if channel.name != "LFE"]
    return heard[:_MOST_CHANNELS] or [0]


class Apart:
    """Resamples the mean of the channels of frames, and each of them: see `Resampler`.

    Blocks are (samples, 1 + channels), whatever the number of channels: some come more than once.
    """

    def __init__(
        self, like: AudioFrame, sample_rate: int, skipped: int = 0, begin: int = 0
    ) -> None:
        heard = _heard(like.layout)
        #: who hears each channel has nothing to look for in them
        self.faint: list[AudioFrame] = []
        self._gathered = Gathered(like, sample_rate, skipped)
        self._each = [Mono(like, sample_rate, begin, channel) for channel in (None, *heard)]
        self._columns = [0, *(1 + at % len(heard) for at in range(_MOST_CHANNELS))]

    def push(self, frame: AudioFrame) -> bool:
        """Take in a frame; whether there are blocks by then."""
        return self._gathered.push(frame)

    def blocks(self) -> Iterator[Float32]:
        """The blocks that are ready."""
        for block in self._gathered.blocks():
            yield from self._side_by_side([mono.push(block) for mono in self._each])

    def end(self) -> Iterator[Float32]:
        """The blocks that are still to come."""
        for block in self._gathered.rest():
            yield from self._side_by_side([mono.push(block) for mono in self._each])
        yield from self._side_by_side([mono.end() for mono in self._each])

    def _side_by_side(self, each: list[Iterator[Float32]]) -> Iterator[Float32]:
        for columns in zip(*each, strict=True):
            yield np.stack(columns, axis=1)[:, self._columns]


class Mix:
    """Mono samples of what comes from `Apart`, clip by clip."""

    def __init__(self, clip_samples: int) -> None:
        self._clip_samples = clip_samples
        self._held = np.empty((0, 1 + _MOST_CHANNELS), np.float32)
        #: samples of the clips in which channels would have cancelled each other
        self.cancelled = 0

    def push(self, block: Float32) -> Float32:
        """Take in a block; the clips that are whole by then."""
        held = np.concatenate([self._held, block])
        whole = len(held) // self._clip_samples * self._clip_samples
        self._held = held[whole:]
        return self._mixed(held[:whole])

    def end(self) -> Float32:
        """What is left."""
        return self._mixed(self._held)

    def _mixed(self, block: Float32) -> Float32:
        size = self._clip_samples
        clips = [self._clip(block[at : at + size]) for at in range(0, len(block), size)]
        return np.concatenate([np.empty(0, np.float32), *clips])

    def _clip(self, clip: Float32) -> Float32:
        mean, channels = clip[:, 0], clip[:, 1:].T
        if not cancel(mean, channels):
            return mean
        self.cancelled += len(clip)
        loudest = channels[np.square(channels).sum(axis=1).argmax()]
        turned = np.where(channels @ loudest < 0, np.float32(-1.0), np.float32(1.0))
        aligned: Float32 = turned @ channels / np.float32(len(channels))
        return aligned
