"""Decoded frames to mono float32 samples at one rate, many frames at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import cast

import numpy as np
from av import AudioFrame
from av.filter import Graph

from serve.audio.mel import Float32

# Samples that are gathered and resampled at once: each call costs as much for a frame of 20 ms as
# for many.
_BLOCK = 1 << 15
# Below this rate, which no music has, a block is a second: so many samples would make hours.
_USUAL_RATE = 8000
# Full scale is 1. What is louder than this by 120 dB is no sound but a broken number.
_LOUDEST = 1e6
# Output samples that a filter's start can be heard in; twice what swresample's filter has.
_FILTER = 64


class Resampler:
    """Averages the channels of frames that are all alike, and resamples the mean.

    The first `skipped` samples are passed over. No number depends on how the samples were cut.
    """

    def __init__(self, like: AudioFrame, sample_rate: int, skipped: int = 0) -> None:
        rate = like.sample_rate
        self._block = _BLOCK if rate >= _USUAL_RATE else rate
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
            self._graph.add(
                "aresample",
                out_sample_rate=str(sample_rate),
                out_sample_fmt="flt",
                out_chlayout="mono",
                # Channels are averaged: no sum of them leaves full scale.
                rematrix_maxval="1.0",
            ),
            self._sink,
        ).configure()
        self._gathered = 0

    def push(self, frame: AudioFrame | None) -> Iterator[Float32]:
        """Take in a frame, or None for the end; the blocks of samples that are ready by then."""
        if frame is not None:
            # Time stamps don't matter here, and broken ones would make the filter complain.
            frame.pts = None
            self._gathered += frame.samples
        self._source.push(frame)
        if frame is not None and self._gathered < self._block:
            return
        self._gathered = 0
        while True:
            try:
                resampled = cast(AudioFrame, self._sink.pull())
            except (BlockingIOError, EOFError):
                return
            samples: Float32 = resampled.to_ndarray()[0]
            # Of numbers that are none, both comparisons are false.
            if not (samples.min() >= -_LOUDEST and samples.max() <= _LOUDEST):
                samples = np.where(np.abs(samples) <= _LOUDEST, samples, np.float32(0.0))
            yield samples


def run_up(rate: int, sample_rate: int) -> int:
    """Samples at `rate` to begin before a sample, so that its resampled ones are those of always.

    A whole number of the two rates' common periods, at whose starts the output has one sample
    exactly where the input has one.
    """
    period = rate // math.gcd(rate, sample_rate)
    return period * math.ceil(_FILTER * max(1.0, rate / sample_rate) / period)
