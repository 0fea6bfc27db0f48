"""The stages of a track, each alone and warm, on one core and with librosa beside the features."""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from benchmarks.features import librosa_by_clip
from benchmarks.goals import noise
from serve.audio.decode import opened
from serve.audio.features import FeatureStream
from serve.audio.frames import Frames
from serve.audio.mel import Float32, MelSpectrogram
from serve.audio.resample import Resampler
from serve.inference.aggregate import aggregate
from serve.inference.session import LoadedModel
from serve.pipeline import front_end_of

#: The stages that follow one another on a track's way, in that order.
WAY = ("decode", "resample", "mel", "inference", "aggregate", "HTTP")
LIBROSA = "mel, librosa clip by clip"


@dataclass(frozen=True, slots=True)
class Timing:
    """Median and slowest of several runs, in milliseconds; `noise` as in `goals.Result`."""

    stage: str
    track: str
    median_ms: float
    slowest_ms: float
    noise: float

    @classmethod
    def of(cls, stage: str, track: str, taken_ms: Sequence[float]) -> Self:
        """From the milliseconds of each run."""
        median_ms, slowest_ms = statistics.median(taken_ms), max(taken_ms)
        return cls(stage, track, round(median_ms, 3), round(slowest_ms, 3), noise(taken_ms))


def measure(
    model: LoadedModel, name: str, content: bytes, seconds: float, runs: int
) -> Iterator[Timing]:
    """Time decoding, features, librosa's features, inference and aggregation of a track."""
    front_end = front_end_of(model)
    mel = MelSpectrogram(front_end)
    blocks, _ = decoded(content, front_end.sample_rate)
    out = np.zeros((FeatureStream.capacity(front_end, seconds), *front_end.clip_shape), np.float32)

    def features() -> int:
        return featured(blocks, mel, out, seconds)

    clips = features()
    samples = np.concatenate(blocks)
    whole = samples[: len(samples) // front_end.clip_samples * front_end.clip_samples]

    outputs = model.run(out[:clips])
    stages: dict[str, Callable[[], object]] = {
        "mel": features,
        LIBROSA: librosa_by_clip(front_end, whole.reshape(-1, front_end.clip_samples)),
        "inference": lambda: model.run(out[:clips]),
        "aggregate": lambda: aggregate(outputs, model.card, front_end.clip_s),
    }
    taken: dict[str, list[float]] = {stage: [] for stage in ("decode", "resample", *stages)}
    # Alternating, so that a machine's moods meet all of them alike.
    for _ in range(runs):
        for stage, ms in decoded(content, front_end.sample_rate)[1].items():
            taken[stage].append(ms)
        for stage, work in stages.items():
            start = time.perf_counter()
            work()
            taken[stage].append(1000 * (time.perf_counter() - start))
    for stage, times in taken.items():
        yield Timing.of(stage, name, times)


def featured(blocks: Sequence[Float32], mel: MelSpectrogram, out: Float32, seconds: float) -> int:
    """Write the features of a track of at most so many seconds to `out`; how many clips it has."""
    stream = FeatureStream(mel, out, seconds)
    for block in blocks:
        stream.push(block)
    return stream.finish().clips


def decoded(content: bytes, sample_rate: int) -> tuple[list[Float32], dict[str, float]]:
    """A file's mono samples at that rate in blocks, and the milliseconds of the two stages.

    One format from the first frame to the last is taken for granted.
    """
    blocks: list[Float32] = []
    resampler: Resampler | None = None
    resample_s = 0.0
    start = time.perf_counter()
    with opened(io.BytesIO(content)) as container:
        assert container
        for frame in Frames(container):
            begun = time.perf_counter()
            if resampler is None:
                resampler = Resampler(frame, sample_rate)
            if resampler.push(frame):
                blocks += resampler.blocks()
            resample_s += time.perf_counter() - begun
    assert resampler
    begun = time.perf_counter()
    blocks += resampler.end()
    resample_s += time.perf_counter() - begun
    decode_s = time.perf_counter() - start - resample_s
    return blocks, {"decode": 1000 * decode_s, "resample": 1000 * resample_s}
