"""What a file takes of processor time, and how soon its answer could be there at best."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks import ffmpeg
from benchmarks.goals import Result, processor_ms, times_ms
from benchmarks.media import files
from benchmarks.stages import decoded, featured
from serve.audio.features import FeatureStream
from serve.audio.mel import MelSpectrogram
from serve.container import cores
from serve.inference.session import Model, load_model
from serve.pipeline import front_end_of
from serve.settings import Settings


def measure(runs: int = 5, *, seconds: float = 600.0) -> Iterator[Result]:
    """Its three stages, each in one thread, shared by all cores alike, over ffmpeg's wall time.

    A server that kept all cores busy from the first byte to the answer, and did nothing else, would
    come to that ratio in the comparison `file`.
    """
    model = load_model(Settings.from_environment().model, "cpu")
    with files(seconds) as paths, threadpool_limits(1):
        for container, path in paths.items():
            own = processor_ms(_stages(model, path.read_bytes(), seconds), runs)
            theirs = times_ms({"ffmpeg ms": _ffmpeg(path, front_end_of(model).sample_rate)}, runs)
            of = {name: round(min(ms), 3) for name, ms in (own | theirs).items()}
            shared = (sum(of.values()) - of["ffmpeg ms"]) / cores()
            name = f"{container} shared by {cores()} cores, of ffmpeg's decoding"
            yield Result(name, round(shared / of["ffmpeg ms"], 3), of=of)


def _stages(model: Model, content: bytes, seconds: float) -> dict[str, Callable[[], object]]:
    front_end = front_end_of(model)
    mel = MelSpectrogram(front_end)
    blocks, _ = decoded(content, front_end.sample_rate)
    longest_s = seconds + FeatureStream.SLACK_S
    out = np.zeros(
        (FeatureStream.capacity(front_end, longest_s), *front_end.clip_shape), np.float32
    )
    clips = featured(blocks, mel, out, longest_s)
    return {
        "decoding ms": lambda: decoded(content, front_end.sample_rate),
        "features ms": lambda: featured(blocks, mel, out, longest_s),
        "model ms": lambda: model.run(out[:clips], busy_cores=cores()),
    }


def _ffmpeg(path: Path, sample_rate: int) -> Callable[[], object]:
    return lambda: ffmpeg.decode(path, sample_rate)
