"""The temperature in the graph: probabilities of tracks that mean what they say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import keras
import numpy as np

from train.calibration import best_temperature, of_tracks
from train.dataset import Dataset
from train.evaluate import Answer, Predict, answers
from train.measures import reliability
from train.tracks import Track


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the temperature is, and the expected calibration error of tracks without and with it."""

    temperature: float
    error_before: float
    error_after: float


def measure(predict: Predict, data: Dataset, tracks: Iterable[Track]) -> Calibration:
    """The best temperature for these tracks; it is fitted to what it is measured on."""
    found = list(answers(predict, data, tracks))
    temperature = best_temperature(found)
    return Calibration(temperature, _error(found, 1.0), _error(found, temperature))


def apply(model: keras.Model, temperature: float) -> None:
    """Divide the model's logits by `temperature`, in their weights: it costs nothing."""
    layer = model.get_layer("logits")
    layer.set_weights([weights / np.float32(temperature) for weights in layer.get_weights()])


def _error(found: list[Answer], temperature: float) -> float:
    labels = np.array([answer.label for answer in found])
    return reliability(of_tracks(found, temperature), labels).ece
