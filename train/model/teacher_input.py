"""Our mel power as an AudioSet teacher's input."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from serve.audio.frontend import FrontEnd
from serve.audio.mel import Float32
from train.model import audioset

# A clip with less mean power is silence; the last bit of 16-bit audio has more.
_SILENCE = 1e-10


@keras.saving.register_keras_serializable("topgenre")
class TeacherInput(layers.Layer):  # type: ignore[misc]
    """Mel power (n, frames, bands) to a teacher's input (n, its bands, frames, 1).

    The bands must be the teacher's own; missing high bands are left empty, as for a recording at a
    lower sample rate. Each band gets the gain of the teacher's pre-emphasis and window. Then each
    clip is scaled to a mean power of `level`: that of music that peaks at 0.7 in the teacher's own
    front end (geometric mean over clips of GTZAN's train tracks).
    """

    def __init__(self, front_end: dict[str, Any], level: float = 1.2, **options: Any) -> None:
        super().__init__(**options)
        self.front_end = FrontEnd.from_dict(front_end)
        self.level = level
        self._gain = _gain(self.front_end)

    def call(self, mel: Any) -> Any:
        """The teacher's input."""
        emphasised = mel * self._gain
        mean = ops.mean(emphasised, axis=(1, 2), keepdims=True)
        levelled = emphasised * (self.level / (mean + _SILENCE))
        missing = audioset.BANDS - self.front_end.n_mels
        padded = ops.pad(levelled, ((0, 0), (0, 0), (0, missing)))
        scaled = (ops.log(padded + audioset.FLOOR) - audioset.MEAN) / audioset.DEVIATION
        return ops.expand_dims(ops.transpose(scaled, (0, 2, 1)), -1)

    def get_config(self) -> dict[str, Any]:
        """The arguments that recreate the layer."""
        return {**super().get_config(), "front_end": self.front_end.to_dict(), "level": self.level}


def _gain(front_end: FrontEnd) -> Float32:
    """The power gain (bands,) of the teacher's pre-emphasis and window."""
    hz = audioset.centres_hz()[: front_end.n_mels]
    angle = 2.0 * np.pi * hz / audioset.SAMPLE_RATE
    emphasis = np.abs(1.0 - audioset.PRE_EMPHASIS * np.exp(-1j * angle)) ** 2
    ours = 0.5 * front_end.frame_length
    return np.asarray(emphasis * (audioset.window().sum() / ours) ** 2, np.float32)
