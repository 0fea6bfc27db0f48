"""A track's way written straight down, in one thread: what it costs without a server around it."""

from __future__ import annotations

import numpy as np

from serve.audio.decode import Complete, decode
from serve.audio.features import FeatureStream
from serve.audio.mel import MelSpectrogram
from serve.inference.outputs import Outputs
from serve.inference.session import Model
from serve.pipeline import front_end_of


class Straight:
    """Decodes a file of at most `max_s` seconds, and runs the model on it; for one thread."""

    def __init__(self, model: Model, max_s: float) -> None:
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
