"""`python -m tests.audio.kernels`: whether numbers hang on what they must not hang on.

A process of its own, since BLAS takes its kernel once, from the environment. It prints the kernel,
and a digest of all numbers.
"""

from __future__ import annotations

import hashlib

import numpy as np
from threadpoolctl import threadpool_info

from serve.audio.features import FeatureStream
from serve.audio.frontend import FrontEnd
from serve.audio.mel import Float32, MelSpectrogram
from serve.audio.polyphase import polyphase

FRONT_ENDS = (
    FrontEnd(),
    FrontEnd(
        n_fft=720, win_length=551, hop_length=220, n_mels=115, f_max=10_775.52,
        mel_scale="htk", mel_norm="none", mel_slopes="mel",
    ),
    FrontEnd(hop_length=512),
    # One frame, a single last band, a single band; frames that fill no vector.
    FrontEnd(clip_samples=4096, n_fft=4096, n_mels=17),
    FrontEnd(n_mels=1, f_min=300.0),
    FrontEnd(clip_samples=9000, n_fft=500, hop_length=421, n_mels=33),
)  # fmt: skip
RATES = (8_000, 16_000, 32_000, 44_100, 48_000, 96_000, 192_000)


def moved(array: Float32, by: int) -> Float32:
    """A copy that begins `by` numbers behind where a cache line does."""
    spare = np.empty(array.size + 32, np.float32)
    first = -spare.ctypes.data % 64 // 4 + by
    copy = spare[first : first + array.size].reshape(array.shape)
    copy[:] = array
    return copy


def company(front_end: FrontEnd) -> Float32:
    """Clips alone, in any order, at any address, and in a stream cut anyhow, are the same."""
    rng = np.random.default_rng(0)
    clips = rng.standard_normal((23, front_end.clip_samples)).astype(np.float32)
    clips[5] *= 1e-3
    clips[7] = 0.0
    mel = MelSpectrogram(front_end)
    together = mel(clips)
    for number, clip in enumerate(clips):
        np.testing.assert_array_equal(mel(clip[None])[0], together[number])
    order = rng.permutation(len(clips))
    np.testing.assert_array_equal(MelSpectrogram(front_end)(clips[order]), together[order])
    for by in (1, 3, 8):
        out = moved(np.zeros_like(together), by)
        mel.into(moved(clips, by), out)
        np.testing.assert_array_equal(out, together)
    out = np.zeros((len(clips) + 1, *front_end.clip_shape), np.float32)
    stream = FeatureStream(mel, out, 60.0)
    for part in np.split(clips.ravel(), np.sort(rng.integers(0, clips.size, 40))):
        stream.push(part)
    assert stream.finish().clips == len(clips)
    np.testing.assert_array_equal(out[:-1], together)
    return together


def resampled(rate: int) -> Float32:
    """A block is resampled to the same samples wherever it lies in memory."""
    filters = polyphase(rate, 22_050)
    assert filters
    rng = np.random.default_rng(rate)
    samples = rng.standard_normal(filters.history + filters.inputs).astype(np.float32)
    once = filters(samples)
    for by in (1, 3, 8):
        np.testing.assert_array_equal(filters(moved(samples, by)), once)
    return once


def main() -> None:
    """Check it all."""
    digest = hashlib.sha256()
    for front_end in FRONT_ENDS:
        digest.update(company(front_end).tobytes())
    for rate in RATES:
        digest.update(resampled(rate).tobytes())
    kernels = {of["architecture"] for of in threadpool_info() if of["internal_api"] == "openblas"}
    print(",".join(sorted(kernels)), digest.hexdigest())


if __name__ == "__main__":
    main()
