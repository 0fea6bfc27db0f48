"""Mel spectrograms of clips, vectorised over clips and frames, in float32."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from serve.audio.frontend import FrontEnd

Float32 = NDArray[np.float32]

# Frames computed at a time: their windowed samples, spectrum and power stay in a core's cache,
# which is faster than one pass over a whole track.
_FRAMES_AT_A_TIME = 128
# Bands that are summed together, over the bins in which any of them has weight: of a bank of 128,
# one in sixty weights is not zero.
_BANDS_AT_A_TIME = 16

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
    """Computes the mel power of clips. Holds only constants and scratch: one for each thread."""

    def __init__(self, front_end: FrontEnd) -> None:
        self.front_end = front_end
        #: clips computed at a time
        self.batch = max(1, _FRAMES_AT_A_TIME // front_end.frames)
        self._bands = list(_banded(mel_filterbank(front_end)))
        phase = 2.0 * np.pi * np.arange(front_end.frame_length) / front_end.frame_length
        self._window = (0.5 - 0.5 * np.cos(phase)).astype(np.float32)
        frames = self.batch * front_end.frames
        self._frames = np.zeros((self.batch, front_end.frames, front_end.n_fft), np.float32)
        self._spectrum: NDArray[np.complex64] | None = None
        self._power = np.empty((frames, front_end.n_fft // 2 + 1), np.float32)
        self._mel = np.empty((self.batch, *front_end.clip_shape), np.float32)

    def __call__(self, clips: Float32) -> Float32:
        """Features (clips, frames, mel bands) of samples (clips, clip_samples)."""
        out = np.empty((len(clips), *self.front_end.clip_shape), np.float32)
        self.into(clips, out)
        return out

    def into(self, clips: Float32, out: Float32) -> None:
        """Write the features of `clips` (n, clip_samples) to `out` (n, frames, mel bands).

        Raises ValueError where the frames of `out` do not follow each other in memory.
        """
        hop_length = self.front_end.hop_length
        frames = sliding_window_view(clips, self.front_end.frame_length, axis=1)[:, ::hop_length]
        for start in range(0, len(clips), self.batch):
            part = frames[start : start + self.batch]
            if len(part) == self.batch:
                self._write(part, out[start : start + self.batch])
            else:
                # All scratch has one fixed size, also for the last few clips: a matrix product may
                # round differently for another number of rows, and a clip's numbers must not hang
                # on its company.
                self._write(part, self._mel)
                out[start : start + len(part)] = self._mel[: len(part)]

    def _write(self, frames: Float32, out: Float32) -> None:
        # In two steps: a product with frames that overlap takes half as long again.
        windowed = self._frames[: len(frames), :, : self.front_end.frame_length]
        np.copyto(windowed, frames)
        np.multiply(windowed, self._window, out=windowed)
        # The last spectrum is let go only when there is a new one, and so its memory is what the
        # next one takes: given back to the system and had anew, it would cost more than the FFTs.
        self._spectrum = scipy.fft.rfft(self._frames.reshape(-1, self.front_end.n_fft), workers=1)
        squares = self._spectrum.view(np.float32)
        np.square(squares, out=squares)
        np.add(squares[:, ::2], squares[:, 1::2], out=self._power)
        mel = out.reshape(-1, self.front_end.n_mels, copy=False)
        for bins, bands, weights in self._bands:
            np.matmul(self._power[:, bins], weights, out=mel[:, bands])


def _banded(filterbank: Float32) -> Iterator[tuple[slice, slice, Float32]]:
    """Bins, bands and their weights (bins, bands): the filterbank without most of its zeros."""
    for first in range(0, filterbank.shape[1], _BANDS_AT_A_TIME):
        bands = slice(first, first + _BANDS_AT_A_TIME)
        (weighty,) = np.nonzero(filterbank[:, bands].any(axis=1))
        bins = slice(weighty[0], weighty[-1] + 1) if len(weighty) else slice(0)
        yield bins, bands, np.ascontiguousarray(filterbank[bins, bands])
