"""Decoded frames to mono float32 samples at one rate, many frames at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import cast

import numpy as np
from av import AudioFrame
from av.filter import Graph

from serve.audio.mel import Float32
from serve.audio.polyphase import Polyphase, polyphase
from serve.audio.products import zeros

# Samples that are gathered and resampled at once where FFmpeg does it: each call costs as much for
# a frame of 20 ms as for many.
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

    With `channel` it is that channel alone. The first `skipped` samples are passed over. What
    follows is the track from its sample `begin` on: its start, or where `run_up` says. No number
    depends on how the samples were cut.
    """

    def __init__(
        self,
        like: AudioFrame,
        sample_rate: int,
        skipped: int = 0,
        begin: int = 0,
        *,
        channel: int | None = None,
    ) -> None:
        rate = like.sample_rate
        filters = polyphase(rate, sample_rate)
        self._stream = _Stream(filters, begin > 0) if filters else None
        self._block = filters.inputs if filters else _BLOCK if rate >= _USUAL_RATE else rate
        self._graph = Graph()
        # One track a process: more threads would only take cores from other tracks.
        self._graph.threads = 1
        self._source = self._graph.add_abuffer(
            sample_rate=rate, format=like.format.name, layout=like.layout.name
        )
        self._sink = self._graph.add("abuffersink")
        self._graph.link_nodes(
            self._source,
            self._graph.add("atrim", start_sample=str(skipped)),
            self._graph.add("asetnsamples", n=str(self._block), p="0"),
            *([] if channel is None else [self._graph.add("pan", f"mono|c0=c{channel}")]),
            self._graph.add(
                "aresample",
                out_sample_rate=str(rate if filters else sample_rate),
                out_sample_fmt="flt",
                out_chlayout="mono",
                # Channels are averaged: no sum of them leaves full scale.
                rematrix_maxval="1.0",
            ),
            self._sink,
        ).configure()
        self._gathered = -skipped
        #: whether the newest block is so soft that something may have got lost in the mean
        self.faint = False

    def push(self, frame: AudioFrame) -> bool:
        """Take in a frame; whether there are blocks by then."""
        # Time stamps don't matter here, and broken ones would make the filter complain.
        frame.pts = None
        self._source.push(frame)
        self._gathered += frame.samples
        return self._gathered >= self._block

    def blocks(self) -> Iterator[Float32]:
        """The blocks of samples that are ready."""
        self._gathered %= self._block
        if self._stream is None:
            yield from self._pulled()
            return
        for samples in self._pulled():
            yield from self._stream.push(samples)

    def end(self) -> Iterator[Float32]:
        """The blocks that are still to come: there is no frame any more."""
        self._source.push(None)
        yield from self.blocks()
        if self._stream is not None:
            yield from self._stream.end()

    def _pulled(self) -> Iterator[Float32]:
        while True:
            try:
                block = cast(AudioFrame, self._sink.pull())
            except (BlockingIOError, EOFError):
                return
            samples: Float32 = np.frombuffer(memoryview(block.planes[0]), np.float32)
            samples = samples[: block.samples]  # a plane may be longer
            # No sample is louder than all of them together. Of numbers that are none, any
            # comparison is false.
            with np.errstate(over="ignore", invalid="ignore"):  # some kernels of BLAS tell of it
                power = np.dot(samples, samples)
                if not power <= _LOUDEST**2:
                    samples = np.where(np.abs(samples) <= _LOUDEST, samples, np.float32(0.0))
                    power = np.dot(samples, samples)
            self.faint = bool(power < _FAINT * len(samples))
            yield samples


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
