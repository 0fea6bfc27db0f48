"""Audio files to mel power, by the server's own front end."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import scipy.signal
import soundfile
from numpy.lib.stride_tricks import sliding_window_view

from serve.audio.decode import Complete, decode
from serve.audio.frontend import FrontEnd
from serve.audio.mel import MelSpectrogram
from serve.errors import TopgenreError
from train.data.dataset import Float32
from train.errors import DataError

MAX_SECONDS = 1800.0
# 16-bit digital silence with dither peaks at 6e-5.
SILENCE_PEAK = 1e-4
_TOO_LONG = f"longer than {MAX_SECONDS:g} s"


def read_mono(path: Path, sample_rate: int) -> tuple[Float32, int]:
    """A file's samples, mixed to mono at `sample_rate`, and the rate it has itself (0: unknown).

    Files that libsndfile can't read, or mixes to silence, are decoded as the server does. Raises
    DataError if the file can't be read, is longer than `MAX_SECONDS`, silent or not finite.
    """
    try:
        samples, rate = _read(path)
    except (soundfile.LibsndfileError, OSError):
        return _decode(path, sample_rate)
    if not np.isfinite(samples).all():
        raise DataError("has samples that are not finite")
    if _is_silent(samples):
        return _decode(path, sample_rate)
    if rate != sample_rate and len(samples):
        common = math.gcd(rate, sample_rate)
        samples = scipy.signal.resample_poly(samples, sample_rate // common, rate // common)
    return samples.astype(np.float32, copy=False), rate


def _read(path: Path) -> tuple[Float32, int]:
    with soundfile.SoundFile(path) as file:
        if file.frames > MAX_SECONDS * file.samplerate:
            raise DataError(_TOO_LONG)
        samples = file.read(dtype="float32", always_2d=True).mean(axis=1)
        return samples, file.samplerate


def _decode(path: Path, sample_rate: int) -> tuple[Float32, int]:
    blocks: list[Float32] = []
    left = MAX_SECONDS * sample_rate
    try:
        for block in decode(Complete(path.read_bytes()), sample_rate):
            blocks.append(block)
            left -= len(block)
            if left < 0:
                raise DataError(_TOO_LONG)
    except (TopgenreError, OSError) as error:
        raise DataError(f"unreadable: {error}") from error
    samples = np.concatenate(blocks)
    if _is_silent(samples):
        raise DataError("silent")
    return samples, _rate(path)


def _is_silent(samples: Float32) -> bool:
    return bool(np.abs(samples).max(initial=0.0) < SILENCE_PEAK)


def _rate(path: Path) -> int:
    with suppress(av.FFmpegError, IndexError), av.open(str(path)) as container:
        return container.streams.audio[0].rate
    return 0


class TrackSpectrogram:
    """Computes the mel power of whole tracks: frames at the hop, not cut into clips."""

    def __init__(self, front_end: FrontEnd) -> None:
        span = (front_end.frames - 1) * front_end.hop_length + front_end.frame_length
        self._front_end = front_end
        self._mel = MelSpectrogram(replace(front_end, clip_samples=span))

    def __call__(self, samples: Float32) -> Float32:
        """Mel power (frames, mel bands) of samples; raise DataError if shorter than a clip."""
        front_end = self._front_end
        if len(samples) < front_end.clip_samples:
            raise DataError(f"shorter than a clip of {front_end.clip_s:.2f} s")
        frames = 1 + (len(samples) - front_end.frame_length) // front_end.hop_length
        blocks = math.ceil(frames / front_end.frames)
        span = self._mel.front_end.clip_samples
        step = front_end.frames * front_end.hop_length
        padded = np.zeros((blocks - 1) * step + span, np.float32)
        padded[: len(samples)] = samples[: len(padded)]
        mel = self._mel(sliding_window_view(padded, span)[::step])
        return mel.reshape(-1, front_end.n_mels)[:frames]
