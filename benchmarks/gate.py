"""`python -m benchmarks gate`: ratios that hold on any machine, however busy it is.

A limit is far from what is measured, and farther from what a mistake would bring. The fastest of
several runs count, since what else is going on can only add.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.features import batched_librosa, librosa_by_clip, ours
from benchmarks.goals import Result, times_ms
from serve.audio.frontend import FrontEnd
from serve.audio.mel import Float32, MelSpectrogram
from serve.inference.session import load_model
from serve.settings import Settings


def measure(runs: int = 12, *, clips: int = 128) -> Iterator[Result]:
    """The features of a track of 3 minutes beside others', and calls for all clips beside loops."""
    front_end = FrontEnd()
    rng = np.random.default_rng(0)
    samples = rng.standard_normal((clips, front_end.clip_samples), dtype=np.float32)
    mine = ours(front_end, samples)
    with threadpool_limits(1):  # as in a decoder process
        for name, theirs, goal in (
            ("librosa's mel, of ours", batched_librosa(front_end, samples), 1.2),
            ("librosa's mel clip by clip, of ours", librosa_by_clip(front_end, samples), 4.0),
            ("mel clip by clip, of one call", _by_clip(front_end, samples), 3.0),
        ):
            yield _fastest(name, {"other ms": theirs, "ours ms": mine}, runs, goal)
    # More threads would wait for cores that others have.
    model = load_model(Settings.from_environment().model, "cpu", 1)
    mel = rng.random((clips, *model.clip_shape), np.float32)
    calls = {
        "loop ms": lambda: [model.run(mel[n : n + 1]) for n in range(clips)],
        "one ms": lambda: model.run(mel),
    }
    # One clip stays in the cache, which all of them leave: a call must not cost much more.
    yield _fastest("inference clip by clip, of one call", calls, runs, 0.5)


def _by_clip(front_end: FrontEnd, samples: Float32) -> Callable[[], object]:
    mel = MelSpectrogram(front_end)
    return lambda: [mel(samples[n : n + 1]) for n in range(len(samples))]


def _fastest(
    name: str, calls: Mapping[str, Callable[[], object]], runs: int, goal: float
) -> Result:
    of = {key: [min(taken)] for key, taken in times_ms(calls, runs).items()}
    return Result.ratio(name, of, goal, at_least=True)
