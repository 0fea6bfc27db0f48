"""From one sample rate to another: the filters of many samples as a few matrix products."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from serve.audio.products import Float32, aligned, columns_of, parted

# The filter that swresample has, too, when nothing else is asked for: a windowed sine.
_HALF_ZEROS = 16
_CUTOFF = 0.97
_KAISER_BETA = 9.0
# Outputs whose filters are one product, from so many inputs for each of them on: what was fastest.
_COLUMNS = {0.0: 32, 1.5: 24, 3.0: 16}
# Outputs of a block, about.
_BLOCK = 128 * 147
# Rows, if they can be so few, begin this many outputs apart.
_LEAST_PERIOD = 128
# Rates that have less in common, or are further apart, are left to others: each output of a period
# has its own weights, and music has no such rates.
_LONGEST_PERIOD = 4096
_FURTHEST = 32
# Rates that are seldom met at the same time.
_KEPT = 4


class Polyphase:
    """Makes `outputs` samples of `inputs` samples, block after block, at rates of that ratio.

    A block's samples come with the `history` samples before them. Its outputs end `late` samples
    (at the rate of the output) before its inputs do, for a filter hears what comes after, too.
    Whoever begins where a block begins gets the same numbers as who comes from further back: every
    block is computed alike. They are those of FFmpeg's swresample, but for rounding.
    """

    def __init__(self, period_in: int, period_out: int) -> None:
        """For rates whose ratio, in lowest terms, is `period_in` to `period_out`."""
        filters, before = _filters(period_in, period_out)
        length: int = filters.shape[1]
        # Rows of a product must not overlap: BLAS would be given copies.
        width = next(
            n for least, n in reversed(_COLUMNS.items()) if period_in >= least * period_out
        )
        most = math.ceil(width * period_in / period_out) + length
        times = max(math.ceil(_LEAST_PERIOD / period_out), math.ceil(most / period_in))
        self._row_in, self._row_out = times * period_in, times * period_out
        self._stack, self._rows = parted(max(1, _BLOCK // self._row_out), most, width)
        rows = self._stack * self._rows
        self.inputs, self.outputs = rows * self._row_in, rows * self._row_out
        periods_late = math.ceil((length - before) / period_in)
        self.late = periods_late * period_out
        self._late_in = periods_late * period_in
        #: samples before a sample that its filter hears
        self.before = before
        self.history = self._late_in + before
        self._products = [
            _product(filters, period_in, columns.start, columns.stop)
            for columns in columns_of(self._row_out, width)
        ]

    def __call__(self, samples: Float32) -> Float32:
        """The outputs (outputs,) of a block with its history (history + inputs,), contiguous."""
        out = np.empty((self._stack, self._rows, self._row_out), np.float32)
        size = samples.itemsize
        strides = self._rows * self._row_in * size, self._row_in * size, size
        for first, begin, weights in self._products:
            # As `as_strided`, but faster: that takes a quarter of the time of the product.
            shape = self._stack, self._rows, len(weights)
            rows = np.ndarray(shape, np.float32, samples.data, begin * size, strides)
            np.matmul(rows, weights, out=out[..., first : first + weights.shape[1]])
        return out.reshape(-1)

    def begin(self, sample: int) -> int:
        """The sample at which to begin, history included, for the block that makes `sample`.

        Both are counted at the rate of the input.
        """
        block = (sample + self._late_in) // self.inputs
        return block * self.inputs - self.history


@lru_cache(_KEPT)
def polyphase(rate: int, sample_rate: int) -> Polyphase | None:
    """What takes samples at `rate` to `sample_rate`; None for rates that are alike or too odd."""
    common = math.gcd(rate, sample_rate)
    period_in, period_out = rate // common, sample_rate // common
    shorter, longer = sorted((period_in, period_out))
    if shorter == longer or longer > min(_LONGEST_PERIOD, _FURTHEST * shorter):
        return None
    return Polyphase(period_in, period_out)


def _filters(period_in: int, period_out: int) -> tuple[NDArray[np.float64], int]:
    """Filters (period_out, length), one for each phase, and the inputs before their middle.

    As in swresample's `build_filter`: a sine in a Kaiser window, the same gain for all.
    """
    factor = min(1.0, _CUTOFF * period_out / period_in)
    length = 2 * math.ceil(_HALF_ZEROS / factor)
    before = (length - 1) // 2
    phases = np.arange(period_out)[:, None] / period_out
    x = (np.arange(length) - before - phases) * factor
    inside = np.maximum(0.0, 1.0 - (2.0 * x / (factor * length)) ** 2)
    filters = np.sinc(x) * np.i0(_KAISER_BETA * np.sqrt(inside))
    return filters / filters.sum(axis=1, keepdims=True), before


def _product(
    filters: NDArray[np.float64], period_in: int, first: int, end: int
) -> tuple[int, int, Float32]:
    """Outputs `first` to `end` of a row: `first`, the sample that they begin to hear, weights."""
    period_out, length = filters.shape
    begin = first * period_in // period_out
    heard = (end - 1) * period_in // period_out - begin + length
    weights = np.zeros((heard, end - first), np.float32)
    for column, output in enumerate(range(first, end)):
        sample, phase = divmod(output * period_in, period_out)
        weights[sample - begin : sample - begin + length, column] = filters[phase]
    return first, begin, aligned(weights)
