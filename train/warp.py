"""Our mel power as an AudioSet teacher's input, as near as interpolation brings it."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from serve.audio.frontend import FrontEnd
from serve.audio.mel import Float32, hz_to_mel, mel_to_hz
from train import audioset

# Cells further below their clip's loudest are raised to it.
_FLOOR = 1e-9
_SCALE_DB = 20.0
# Twice the frames: the teacher's kernels are made for finer steps in time than ours.
_STRETCH = 2


@keras.saving.register_keras_serializable("topgenre")
class Warp(layers.Layer):  # type: ignore[misc]
    """Mel power (n, frames, bands) to a teacher's input (n, its bands, frames, 1).

    dB relative to the clip's loudest cell, interpolated to the teacher's bands and to more frames;
    then a trained gain and offset for each band.
    """

    def __init__(self, front_end: dict[str, Any], **options: Any) -> None:
        super().__init__(**options)
        self.front_end = FrontEnd.from_dict(front_end)
        frames = self.front_end.frames
        places = np.arange((frames - 1) * _STRETCH + 1) / _STRETCH
        self._time = interpolation(places, frames)
        self._bands = interpolation(_band_places(self.front_end), self.front_end.n_mels).T

    def build(self, _: Any) -> None:
        """Make gain and offset."""
        shape = (audioset.BANDS,)
        self.gain = self.add_weight(shape=shape, initializer="ones", name="gain")
        self.offset = self.add_weight(shape=shape, initializer="zeros", name="offset")

    def call(self, mel: Any) -> Any:
        """The teacher's input."""
        peak = ops.max(mel, axis=(1, 2), keepdims=True)
        relative = ops.maximum(mel / ops.maximum(peak, 1e-20), _FLOOR)
        decibels = ops.log(relative) * (10.0 / 2.302585093)
        warped = ops.matmul(ops.matmul(self._time, decibels), self._bands)
        scaled = warped / _SCALE_DB * self.gain + self.offset
        return ops.expand_dims(ops.transpose(scaled, (0, 2, 1)), -1)

    def match(self, mel: Float32, mean: Float32, deviation: Float32) -> None:
        """Set gain and offset so that clips (n, frames, bands) get this mean and deviation.

        `mean` and `deviation` are of each of the teacher's bands.
        """
        self.gain.assign(ops.ones_like(self.gain))
        self.offset.assign(ops.zeros_like(self.offset))
        plain = ops.convert_to_numpy(self(mel))
        # A band that is all but empty must not be blown up.
        gain = (deviation + 0.02) / (plain.std(axis=(0, 2, 3)) + 0.05)
        self.gain.assign(gain)
        self.offset.assign(mean - gain * plain.mean(axis=(0, 2, 3)))

    def get_config(self) -> dict[str, Any]:
        """What the layer is made again from."""
        return {**super().get_config(), "front_end": self.front_end.to_dict()}


def interpolation(places: NDArray[np.float64], of: int) -> Float32:
    """Weights (places, of) that interpolate `of` values linearly at places from 0 to of - 1."""
    distance = np.abs(places[:, None] - np.arange(of)[None, :])
    return np.maximum(0.0, 1.0 - distance).astype(np.float32)


def _band_places(front_end: FrontEnd) -> NDArray[np.float64]:
    # Where the teacher's bands lie among ours; those beyond the ends take the last one.
    limits = hz_to_mel(np.array([front_end.f_min, front_end.f_max]), front_end.mel_scale)
    lowest, highest = limits
    edges = mel_to_hz(np.linspace(lowest, highest, front_end.n_mels + 2), front_end.mel_scale)
    return np.interp(audioset.centres_hz(), edges[1:-1], np.arange(front_end.n_mels))
