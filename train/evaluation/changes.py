"""Changes that audio undergoes on its way to a listener, applied to samples."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import scipy.signal

from serve.audio.mel import Float32
from train.data.codecs import Encoding, through_codec

Change = Callable[[Float32, int], Float32]
"""Maps mono samples and their rate to mono samples at the same rate."""

_ENCODINGS = (
    Encoding("AAC 128k", "adts", "aac", 44_100, bit_rate=128_000),
    Encoding("AAC 48k", "adts", "aac", 44_100, bit_rate=48_000),
    Encoding("Opus 128k", "webm", "libopus", 48_000, bit_rate=128_000),
    Encoding("Opus 50k", "webm", "libopus", 48_000, bit_rate=50_000),
    Encoding("MP3 128k", "mp3", "libmp3lame", 44_100, bit_rate=128_000),
)
_GAINS_DB = (-20.0, -6.0, 6.0)
_LOW_PASS_HZ = 8000.0
_OFFSET_S = 0.5


def gained(samples: Float32, _: int, *, db: float) -> Float32:
    """Louder or softer, clipped at full scale."""
    return np.asarray(np.clip(samples * np.float32(10.0 ** (db / 20.0)), -1.0, 1.0))


def low_passed(samples: Float32, sample_rate: int, *, hz: float) -> Float32:
    """Low-passed at `hz` (Butterworth, order 8)."""
    sections = scipy.signal.butter(8, hz, fs=sample_rate, output="sos")
    return np.asarray(scipy.signal.sosfilt(sections, samples), np.float32)


def cut(samples: Float32, sample_rate: int, *, seconds: float) -> Float32:
    """Without its beginning, so that its clips start elsewhere."""
    return samples[round(seconds * sample_rate) :]


#: The changes that should not affect an answer, by name.
CHANGES: dict[str, Change] = {
    **{encoding.name: partial(through_codec, encoding=encoding) for encoding in _ENCODINGS},
    **{f"{db:+.0f} dB": partial(gained, db=db) for db in _GAINS_DB},
    f"low-pass {_LOW_PASS_HZ / 1000:g} kHz": partial(low_passed, hz=_LOW_PASS_HZ),
    f"starting {_OFFSET_S:g} s later": partial(cut, seconds=_OFFSET_S),
}
