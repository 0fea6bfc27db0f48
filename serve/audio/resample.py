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
# Output samples that a filter's start can be heard in; twice what swresample's filter has.
_FILTER = 64


class Resampler:
    """Averages the channels of frames that are all alike, and resamples the mean.

    The first `skipped` samples are passed over. No number depends on how the samples were cut.
    """

    def __init__(self, like: AudioFrame, sample_rate: int, skipped: int = 0) -> None:
        self._graph = Graph()
        self._source = self._graph.add_abuffer(
            sample_rate=like.sample_rate, format=like.format.name, layout=like.layout.name
        )
        self._sink = self._graph.add("abuffersink")
        self._graph.link_nodes(
            self._source,
            self._graph.add("atrim", start_sample=str(skipped)),
            self._graph.add("asetnsamples", n=str(_BLOCK), p="0"),
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
        if frame is not None and self._gathered < _BLOCK:
            return
        self._gathered = 0
        while True:
            try:
                resampled = cast(AudioFrame, self._sink.pull())
            except (BlockingIOError, EOFError):
                return
            samples: Float32 = resampled.to_ndarray()[0]
            if not np.isfinite(samples).all():
                samples = np.nan_to_num(samples, posinf=0.0, neginf=0.0)
            yield samples


def run_up(rate: int, sample_rate: int) -> int:
    """Samples at `rate` to begin before a sample, so that its resampled ones are those of always.

    A whole number of the two rates' common periods, at whose starts the output has one sample
    exactly where the input has one.
    """
    period = rate // math.gcd(rate, sample_rate)
    return period * math.ceil(_FILTER * max(1.0, rate / sample_rate) / period)
