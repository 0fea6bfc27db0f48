"""Decoded frames to mono float32 samples at one rate, many frames at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import cast

import numpy as np
from av import AudioFrame
from av.audio.fifo import AudioFifo
from av.filter import Graph

from serve.audio.mel import Float32
from serve.audio.polyphase import Polyphase, polyphase
from serve.audio.products import zeros

# Samples that are gathered and resampled at once where FFmpeg does it.
_BLOCK = 1 << 15
# Below this rate, which no music has, a block is a second: so many samples would make hours.
_USUAL_RATE = 8000
# Full scale is 1. What is louder than this by 120 dB is no sound but a broken number.
_LOUDEST = 1e6
# The mean square of what is faint.
_FAINT = 1e-3
# Output samples that FFmpeg's filter can be heard in after its start; twice what it has.
_FILTER = 64


class Resampler:
    """Averages the channels of frames that are all alike, and resamples the mean.

    The first `skipped` samples are passed over. What follows is the track from its sample `begin`
    on: its start, or where `run_up` says. No number depends on how the samples were cut.
    """

    def __init__(
        self, like: AudioFrame, sample_rate: int, skipped: int = 0, begin: int = 0
    ) -> None:
        self._gathered = Gathered(like, sample_rate, skipped)
        self._mono = Mono(like, sample_rate, begin)
        #: the newest blocks, as decoded, that are so soft that something may be lost in their mean
        self.faint: list[AudioFrame] = []

    def push(self, frame: AudioFrame) -> bool:
        """Take in a frame; whether there are blocks by then."""
        return self._gathered.push(frame)

    def blocks(self) -> Iterator[Float32]:
        """The blocks of samples that are ready."""
        self.faint.clear()
        for block in self._gathered.blocks():
            yield from self._made(block)

    def end(self) -> Iterator[Float32]:
        """The blocks that are still to come: there is no frame any more."""
        self.faint.clear()
        for block in self._gathered.rest():
            yield from self._made(block)
        yield from self._mono.end()

    def _made(self, block: AudioFrame) -> Iterator[Float32]:
        yield from self._mono.push(block)
        if self._mono.faint:
            self.faint.append(block)


class Gathered:
    """Frames gathered into blocks that are mixed and resampled at once, `skipped` samples less.

    A call into FFmpeg's filters costs as much for a frame of 20 ms as for many.
    """

    def __init__(self, like: AudioFrame, sample_rate: int, skipped: int) -> None:
        rate = like.sample_rate
        filters = polyphase(rate, sample_rate)
        self._block = filters.inputs if filters else _BLOCK if rate >= _USUAL_RATE else rate
        self._fifo = AudioFifo()
        self._skipped = skipped
        self._size = -skipped

    def push(self, frame: AudioFrame) -> bool:
        """Take in a frame; whether there are blocks by then."""
        # Time stamps don't matter here, and broken ones would be complained about.
        frame.pts = None
        self._fifo.write(frame)
        self._size += frame.samples
        return self._size >= self._block

    def blocks(self) -> Iterator[AudioFrame]:
        """The blocks that are full."""
        self._skip()
        while self._size >= self._block:
            self._size -= self._block
            yield cast(AudioFrame, self._fifo.read(self._block))

    def rest(self) -> Iterator[AudioFrame]:
        """What fills no block, if there is anything."""
        self._skip()
        if self._size > 0:
            yield cast(AudioFrame, self._fifo.read())

    def _skip(self) -> None:
        if self._skipped:
            self._fifo.read(self._skipped, partial=True)
            self._skipped = 0


class Mono:
    """The mean of the channels of blocks, or one `channel` of them, resampled."""

    def __init__(
        self, like: AudioFrame, sample_rate: int, begin: int, channel: int | None = None
    ) -> None:
        rate = like.sample_rate
        filters = polyphase(rate, sample_rate)
        self._stream = _Stream(filters, begin > 0) if filters else None
        planar = like.format.name == "fltp" and like.layout.name in ("mono", "stereo")
        self._mixed: Callable[[AudioFrame | None], Iterator[Float32]]
        if planar and channel is None and (filters or rate == sample_rate):
            self._mixed = _mean
        else:
            self._mixed = _Filters(like, rate if filters else sample_rate, channel).push
        #: whether the last block is so soft that something may have been lost in the mean
        self.faint = False

    def push(self, block: AudioFrame | None) -> Iterator[Float32]:
        """The samples that are ready after a block; None for what the filters still hold."""
        for mixed in self._mixed(block):
            samples, power = _numbers(mixed)
            self.faint = power < _FAINT * len(samples)
            if self._stream is None:
                yield samples
            else:
                yield from self._stream.push(samples)

    def end(self) -> Iterator[Float32]:
        """The samples that are still to come: there is no block any more."""
        yield from self.push(None)
        if self._stream is not None:
            yield from self._stream.end()


def _mean(block: AudioFrame | None) -> Iterator[Float32]:
    """The mean of one or two planes of floats: what swresample gives, in half the time."""
    if block is not None:
        planes = [_plane(block, channel) for channel in range(block.layout.nb_channels)]
        with np.errstate(over="ignore", invalid="ignore"):  # broken numbers: see `_numbers`
            mean = planes[0] if len(planes) == 1 else (planes[0] + planes[1]) * np.float32(0.5)
        yield mean


class _Filters:
    """FFmpeg's filters for blocks of any format: channels to their mean or to one, and the rate."""

    def __init__(self, like: AudioFrame, sample_rate: int, channel: int | None) -> None:
        self._graph = graph = Graph()  # its nodes don't keep it alive
        # One track a process: more threads would only take cores from other tracks.
        graph.threads = 1
        self._source = graph.add_abuffer(
            sample_rate=like.sample_rate, format=like.format.name, layout=like.layout.name
        )
        self._sink = graph.add("abuffersink")
        graph.link_nodes(
            self._source,
            *([] if channel is None else [graph.add("pan", f"mono|c0=c{channel}")]),
            graph.add(
                "aresample",
                out_sample_rate=str(sample_rate),
                out_sample_fmt="flt",
                out_chlayout="mono",
                # Channels are averaged: no sum of them leaves full scale.
                rematrix_maxval="1.0",
            ),
            self._sink,
        ).configure()

    def push(self, block: AudioFrame | None) -> Iterator[Float32]:
        """Its samples, as far as they are ready; with None those that are still to come."""
        self._source.push(block)
        while True:
            try:
                yield _plane(cast(AudioFrame, self._sink.pull()), 0)
            except (BlockingIOError, EOFError):
                return


def _plane(block: AudioFrame, channel: int) -> Float32:
    samples: Float32 = np.frombuffer(memoryview(block.planes[channel]), np.float32)
    return samples[: block.samples]  # a plane may be longer


def _numbers(samples: Float32) -> tuple[Float32, float]:
    """The samples with silence for what is no sound, and the sum of their squares."""
    # No sample is louder than all of them together. Of numbers that are none, any comparison is
    # false.
    with np.errstate(over="ignore", invalid="ignore"):  # some kernels of BLAS tell of it
        power = np.dot(samples, samples)
        if not power <= _LOUDEST**2:
            samples = np.where(np.abs(samples) <= _LOUDEST, samples, np.float32(0.0))
            power = np.dot(samples, samples)
    return samples, float(power)


class _Stream:
    """A stream of samples through filters that take blocks.

    One that begins in the middle of a track begins with the history of its first block. One that
    begins with the track hears it mirrored before its first sample, as swresample does, and after
    its last.
    """

    def __init__(self, filters: Polyphase, middle: bool) -> None:
        self._filters = filters
        self._held = zeros(filters.history + filters.inputs)
        self._filled = 0 if middle else filters.history
        # Outputs of before the first sample, which nobody wants; 0 once they are made.
        self._early = 0 if middle else filters.late

    def push(self, samples: Float32) -> Iterator[Float32]:
        """Take in samples; the outputs of the blocks that are full by then."""
        while len(samples):
            taken = min(len(samples), len(self._held) - self._filled)
            self._held[self._filled : self._filled + taken] = samples[:taken]
            self._filled += taken
            samples = samples[taken:]
            if self._filled == len(self._held):
                yield self._made()

    def end(self) -> Iterator[Float32]:
        """The outputs that are still to come."""
        filters = self._filters
        waiting = self._filled - filters.history
        left = math.ceil((waiting * filters.outputs) / filters.inputs) + filters.late - self._early
        heard = self._held[: self._filled]
        echo = heard[max(0, self._filled - filters.history) :][::-1].copy()
        for samples in (echo, np.zeros(2 * filters.inputs, np.float32)):
            for made in self.push(samples):
                if left > 0:
                    yield made[:left]
                left -= len(made)

    def _made(self) -> Float32:
        filters, first = self._filters, self._filters.history
        if self._early:
            start = self._held[first + 1 : first + 1 + filters.before]
            self._held[first - filters.before : first] = start[::-1]
        outputs = filters(self._held)[self._early :]
        self._early = 0
        self._held[:first] = self._held[-first:]
        self._filled = first
        return outputs


def run_up(sample: int, rate: int, sample_rate: int) -> tuple[int, int]:
    """Where to begin, so that a track's samples from `sample` on are resampled as they always are.

    Both are counted at `rate`, at which `sample` is heard exactly when an output sample is. Tells
    also how many output samples are to be dropped then.
    """
    if filters := polyphase(rate, sample_rate):
        begin = filters.begin(sample)
        from_begin = sample - begin - filters.before
    else:
        # A whole number of the two rates' common periods, at whose starts the output has one sample
        # exactly where the input has one.
        period = rate // math.gcd(rate, sample_rate)
        from_begin = period * math.ceil(_FILTER * max(1.0, rate / sample_rate) / period)
        begin = sample - from_begin
    return begin, from_begin * sample_rate // rate
