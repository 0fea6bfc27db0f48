"""A file to its answer beside the way it is often done: ffmpeg, librosa clip by clip, Keras."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import librosa
import numpy as np

from benchmarks import ffmpeg
from benchmarks.clients import Request, post
from benchmarks.goals import Result, times_ms
from benchmarks.media import files
from benchmarks.servers import topgenre

_WAV_RATE = 44_100
_CLIP_S = 1.4
_BANDS, _FRAMES, _GENRES = 128, 78, 10


def measure(runs: int = 3, *, seconds: float = 600.0) -> Iterator[Result]:
    """The old way's wall time over that of our running server; both are warm."""
    try:
        network = build()
    except ImportError:
        yield Result("the old way, of ours", None, note="TensorFlow (extra: bench) is missing")
        return
    with topgenre() as server, files(seconds) as paths:
        for container, path in paths.items():
            request = Request.raw(path.read_bytes())
            taken = times_ms(
                {
                    "old way ms": lambda path=path: classify(path, network),  # type: ignore[misc]
                    "ours ms": lambda request=request: post(server.port, request),  # type: ignore[misc]
                },
                runs,
            )
            yield Result.ratio(f"the old way, of ours, {container}", taken, 7.0, at_least=True)


def classify(path: Path, network: Any) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Probabilities (genres,) of a track; clips are 1.4 s, what is left over is dropped."""
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder, "track.wav")
        ffmpeg.to_wav(path, wav, _WAV_RATE)
        samples, rate = librosa.load(wav)
    size = round(_CLIP_S * rate)
    mels = []
    for start in range(0, len(samples) - size + 1, size):
        mel = librosa.feature.melspectrogram(
            y=samples[start : start + size], sr=rate, n_mels=_BANDS
        )
        mels.append(np.pad(mel, ((0, 0), (0, _FRAMES - mel.shape[1]))))
    probabilities = network.predict(np.stack(mels)[..., np.newaxis], verbose=0)
    return np.asarray(probabilities.mean(axis=0))


def build() -> Any:
    """A small network of that time, untrained: weights don't change what it costs.

    Raises ImportError where TensorFlow is missing.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    from keras import layers

    blocks = [
        layer
        for filters in (16, 32, 64)
        for layer in (layers.Conv2D(filters, 3, activation="relu"), layers.MaxPooling2D())
    ]
    return keras.Sequential(
        [
            keras.Input((_BANDS, _FRAMES, 1)),
            *blocks,
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(_GENRES, activation="softmax"),
        ]
    )
