"""The sharpness that calibrates tracks' probabilities."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from train.data.dataset import Dataset
from train.data.tracks import Track
from train.scoring.calibration import best_temperature, of_tracks
from train.scoring.measures import reliability
from train.scoring.scores import Predict, TrackOutputs, answers


@dataclass(frozen=True, slots=True)
class Calibration:
    """The sharpness of tracks' probabilities, and their expected calibration errors.

    The errors are at sharpness 1, at the best one for all tracks, and crossed: for each half of the
    tracks at the best one for the other half.
    """

    sharpness: float
    error_before: float
    error_after: float
    error_crossed: float


def measure(predict: Predict, data: Dataset, tracks: Iterable[Track]) -> Calibration:
    """The best sharpness for these tracks."""
    found = list(answers(predict, data, tracks))
    temperature = best_temperature(found)
    before, after = _error(found, 1.0), _error(found, temperature)
    return Calibration(1.0 / temperature, before, after, _crossed(found))


def _crossed(found: list[TrackOutputs]) -> float:
    halves = found[::2], found[1::2]
    if not all(halves):
        return _error(found, 1.0)
    one, other = halves
    said = [
        of_tracks(one, best_temperature(other)),
        of_tracks(other, best_temperature(one)),
    ]
    labels = np.array([answer.label for half in halves for answer in half])
    return reliability(np.concatenate(said), labels).ece


def _error(found: list[TrackOutputs], temperature: float) -> float:
    labels = np.array([answer.label for answer in found])
    return reliability(of_tracks(found, temperature), labels).ece
