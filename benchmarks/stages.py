"""The stages of a track, each alone and warm, on one core and with librosa beside the features."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import librosa
import numpy as np

from serve.audio.decode import Complete, decode
from serve.audio.features import FeatureStream
from serve.audio.mel import Float32, MelSpectrogram
from serve.inference.aggregate import aggregate
from serve.inference.session import Model
from serve.pipeline import front_end_of


@dataclass(frozen=True, slots=True)
class Timing:
    """Median and slowest of several runs, in milliseconds."""

    stage: str
    track: str
    median_ms: float
    slowest_ms: float


def measure(model: Model, name: str, content: bytes, seconds: float, runs: int) -> Iterator[Timing]:
    """Time decoding, features, librosa's features, inference and aggregation of a track."""
    front_end = front_end_of(model)
    mel = MelSpectrogram(front_end)

    def decoding() -> list[Float32]:
        return list(decode(Complete(content), front_end.sample_rate))

    blocks = decoding()
    out = np.zeros((FeatureStream.capacity(front_end, seconds), *front_end.clip_shape), np.float32)

    def features() -> int:
        stream = FeatureStream(mel, out, seconds)
        for block in blocks:
            stream.push(block)
        return stream.finish().clips

    clips = features()
    samples = np.concatenate(blocks)
    whole = samples[: len(samples) // front_end.clip_samples * front_end.clip_samples]

    def librosas() -> None:
        for clip in whole.reshape(-1, front_end.clip_samples):
            librosa.feature.melspectrogram(
                y=clip,
                sr=front_end.sample_rate,
                n_fft=front_end.n_fft,
                hop_length=front_end.hop_length,
                center=False,
                n_mels=front_end.n_mels,
            )

    probabilities = model.run(out[:clips])
    # Alternating, so that a machine's moods meet all of them alike.
    stages: dict[str, Callable[[], object]] = {
        "decode": decoding,
        "mel": features,
        "mel, librosa clip by clip": librosas,
        "inference": lambda: model.run(out[:clips]),
        "aggregate": lambda: aggregate(probabilities, model.card.genres),
    }
    taken: dict[str, list[float]] = {stage: [] for stage in stages}
    for _ in range(runs):
        for stage, work in stages.items():
            start = time.perf_counter()
            work()
            taken[stage].append(1000 * (time.perf_counter() - start))
    for stage, times in taken.items():
        yield Timing(stage, name, round(statistics.median(times), 3), round(max(times), 3))
