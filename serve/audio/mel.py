"""Mel spectrograms of clips, vectorised over clips and frames, in float32."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from serve.audio.frontend import FrontEnd
from serve.audio.products import Float32, aligned, columns_of, parted, rows_of, stack_of

__all__ = ["Float32", "MelSpectrogram", "hz_to_mel", "mel_filterbank", "mel_to_hz"]

# Frames computed at a time: their windowed samples, spectrum and power stay in a core's cache,
# which is faster than one pass over a whole track.
_FRAMES_AT_A_TIME = 128
# Bands that are summed together, over the bins in which any of them has weight: of a bank of 128,
# one in sixty weights is not zero.
_BANDS_AT_A_TIME = 16
# Frames that the FFTs of any processor take side by side.
_VECTOR = 16

# Slaney's Auditory Toolbox: linear below 1 kHz, logarithmic above.
_HZ_PER_MEL = 200.0 / 3
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _HZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27.0


def hz_to_mel(hz: NDArray[np.floating[Any]], scale: str) -> NDArray[np.float64]:
    """Frequencies in Hz on the mel scale `slaney` (Auditory Toolbox) or `htk`."""
    if scale == "htk":
        return np.asarray(2595.0 * np.log10(1.0 + hz / 700.0), np.float64)
    above = _BREAK_MEL + np.log(np.maximum(hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(hz < _BREAK_HZ, hz / _HZ_PER_MEL, above)


def mel_to_hz(mel: NDArray[np.float64], scale: str) -> NDArray[np.float64]:
    """Inverse of `hz_to_mel`."""
    if scale == "htk":
        return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    above = _BREAK_HZ * np.exp(_LOG_STEP * (np.maximum(mel, _BREAK_MEL) - _BREAK_MEL))
    return np.where(mel < _BREAK_MEL, mel * _HZ_PER_MEL, above)


def mel_filterbank(front_end: FrontEnd) -> Float32:
    """Weights (n_fft // 2 + 1, n_mels) of triangular bands.

    With slopes over Hz they are `librosa.filters.mel`'s, transposed; over mel they are Kaldi's.
    """
    scale = front_end.mel_scale
    lowest, highest = hz_to_mel(np.array([front_end.f_min, front_end.f_max]), scale)
    mel_edges = np.linspace(lowest, highest, front_end.n_mels + 2)
    hz_edges = mel_to_hz(mel_edges, scale)
    hz = np.fft.rfftfreq(front_end.n_fft, 1.0 / front_end.sample_rate)
    over_mel = front_end.mel_slopes == "mel"
    bins, edges = (hz_to_mel(hz, scale), mel_edges) if over_mel else (hz, hz_edges)
    slopes = (bins[:, None] - edges[None, :]) / np.diff(edges, append=np.inf)
    rising = slopes[:, :-2]
    falling = 1.0 - slopes[:, 1:-1]
    weights = np.maximum(0.0, np.minimum(rising, falling))
    if front_end.mel_norm == "slaney":
        weights *= 2.0 / (hz_edges[2:] - hz_edges[:-2])
    return weights.astype(np.float32)


class MelSpectrogram:
    """Computes the mel power of clips. Holds only constants and scratch: one for each thread.

    A clip's numbers are the same, bit for bit, whatever the number, the order and the address of
    the clips that it comes with.
    """

    def __init__(self, front_end: FrontEnd) -> None:
        self.front_end = front_end
        #: clips computed at a time
        self.batch = max(1, _FRAMES_AT_A_TIME // front_end.frames)
        self._bands = list(_banded(mel_filterbank(front_end)))
        phase = 2.0 * np.pi * np.arange(front_end.frame_length) / front_end.frame_length
        self._window = (0.5 - 0.5 * np.cos(phase)).astype(np.float32)
        # All scratch has one size, also for the last few clips, and every clip its own products.
        widest = max(len(weights) for *_, weights in self._bands)
        per_clip, rows = parted(front_end.frames, widest, min(front_end.n_mels, _BANDS_AT_A_TIME))
        products, clip_rows = self.batch * per_clip, per_clip * rows
        # No clip's frames may be transformed one by one where another's are side by side.
        whole = _VECTOR if self.batch > 1 else 1
        self._rows = needed = self.batch * clip_rows
        self._frames = np.zeros((math.ceil(needed / whole) * whole, front_end.n_fft), np.float32)
        clips = self._frames[:needed].reshape(self.batch, clip_rows, front_end.n_fft)
        self._windowed = clips[:, : front_end.frames, : front_end.frame_length]
        self._spectrum: NDArray[np.complex64] | None = None
        self._power = stack_of(products, rows, front_end.n_fft // 2 + 1)
        mel = rows_of(needed, front_end.n_mels)
        self._mels = mel.reshape(products, rows, -1, copy=False)
        self._mel = mel.reshape(self.batch, clip_rows, -1, copy=False)[:, : front_end.frames]

    def __call__(self, clips: Float32) -> Float32:
        """Features (clips, frames, mel bands) of samples (clips, clip_samples)."""
        out = np.empty((len(clips), *self.front_end.clip_shape), np.float32)
        self.into(clips, out)
        return out

    def into(self, clips: Float32, out: Float32) -> None:
        """Write the features of `clips` (n, clip_samples) to `out` (n, frames, mel bands)."""
        for start in range(0, len(clips), self.batch):
            part = clips[start : start + self.batch]
            self._compute(self._frames_of(part))
            out[start : start + len(part)] = self._mel[: len(part)]

    def _frames_of(self, clips: Float32) -> Float32:
        """A view of clips as their frames, which overlap."""
        clips = np.ascontiguousarray(clips, np.float32)
        length, hop_length = self.front_end.frame_length, self.front_end.hop_length
        samples, size = clips.shape[1], clips.itemsize
        shape = len(clips), 1 + (samples - length) // hop_length, length
        # As `sliding_window_view`, but faster: for one clip that takes half as long as the product.
        strides = samples * size, hop_length * size, size
        return np.ndarray(shape, np.float32, clips.data, 0, strides)

    def _compute(self, frames: Float32) -> None:
        np.multiply(frames, self._window, out=self._windowed[: len(frames)])
        # The last spectrum is let go only when there is a new one, and so its memory is what the
        # next one takes: given back to the system and had anew, it would cost more than the FFTs.
        self._spectrum = scipy.fft.rfft(self._frames, workers=1)
        squares = self._spectrum.view(np.float32)
        np.square(squares, out=squares)
        squares = squares[: self._rows].reshape(*self._power.shape[:2], -1, copy=False)
        np.add(squares[..., ::2], squares[..., 1::2], out=self._power)
        for bins, bands, weights in self._bands:
            np.matmul(self._power[..., bins], weights, out=self._mels[..., bands])


def _banded(filterbank: Float32) -> Iterator[tuple[slice, slice, Float32]]:
    """Bins, bands and their weights (bins, bands): the filterbank without most of its zeros."""
    for bands in columns_of(filterbank.shape[1], _BANDS_AT_A_TIME):
        (weighty,) = np.nonzero(filterbank[:, bands].any(axis=1))
        bins = slice(weighty[0], weighty[-1] + 1) if len(weighty) else slice(0)
        yield bins, bands, aligned(filterbank[bins, bands])
