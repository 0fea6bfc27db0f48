"""A track's way written straight down, in one thread: what it costs without a server around it."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Self

import numpy as np
from threadpoolctl import threadpool_limits

from serve.audio.decode import Complete, decode
from serve.audio.features import FeatureStream
from serve.audio.mel import MelSpectrogram
from serve.container import cores
from serve.inference.outputs import Outputs
from serve.inference.session import LoadedModel, load_model
from serve.pipeline import front_end_of
from serve.settings import Settings


class Straight:
    """Decodes a file of at most `max_s` seconds, and runs the model on it; for one thread."""

    def __init__(self, model: LoadedModel, max_s: float) -> None:
        self._model = model
        self._max_s = max_s
        self._mel = MelSpectrogram(front_end_of(model))
        front_end = self._mel.front_end
        capacity = FeatureStream.capacity(front_end, max_s)
        self._features = np.zeros((capacity, *front_end.clip_shape), np.float32)

    def predict(self, content: bytes) -> Outputs:
        """What the model says of each clip."""
        stream = FeatureStream(self._mel, self._features, self._max_s)
        for block in decode(Complete(content), self._mel.front_end.sample_rate):
            stream.push(block)
        return self._model.run(self._features[: stream.finish().clips])


class OnAllCores:
    """A process for each core, which does nothing but the work on tracks of at most `max_s`.

    All cores work at once, so what they take from one another is counted: no server with as many
    cores can answer more tracks.
    """

    def __init__(self, max_s: float) -> None:
        self._processes = ProcessPoolExecutor(
            cores(),
            get_context("spawn"),  # a fork would have the threads of TensorFlow and others half
            _prepare,
            (Settings.from_environment().model, max_s),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._processes.shutdown()

    def predict(self, path: Path, each: int = 1) -> None:
        """Do the file `each` times for each core."""
        for one in [self._processes.submit(_predict, path) for _ in range(each * cores())]:
            one.result()


def _prepare(model: Path, max_s: float) -> None:
    global _straight
    threadpool_limits(1)
    _straight = Straight(load_model(model, "cpu", 1), max_s)


def _predict(path: Path) -> None:
    assert _straight
    _straight.predict(path.read_bytes())


# Of a process that is one of a pool's.
_straight: Straight | None = None
