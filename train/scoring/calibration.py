"""The temperature that calibrates tracks' probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from scipy.special import softmax

from serve.inference.outputs import Float64, Outputs, track_probabilities
from train.scoring.measures import reliability

# Temperatures outside this range point to another problem.
_RANGE = (0.05, 5.0)
# Candidates in between, 2 % apart.
_TRIED = 233
_SMALLEST = 1e-12


class Answered(Protocol):
    """A track's label, and a model's outputs for its clips."""

    @property
    def label(self) -> int:
        """The column of its genre."""
        ...

    @property
    def clips(self) -> Outputs:
        """The outputs for its clips."""
        ...


def of_tracks(answers: Sequence[Answered], temperature: float) -> Float64:
    """Probabilities (tracks, genres) at this temperature, the inverse of the sharpness."""
    return np.stack([track_probabilities(answer.clips, 1.0 / temperature) for answer in answers])


def best_temperature(answers: Sequence[Answered]) -> float:
    """The temperature at which the tracks' probabilities are best calibrated.

    One number for all tracks (Guo et al., On Calibration of Modern Neural Networks, 2017). With so
    few tracks, a wide range of temperatures is within one standard error of the maximum
    likelihood: the result is the one of these with the least expected calibration error.
    """
    temperatures = np.geomspace(*_RANGE, _TRIED)
    labels = np.array([answer.label for answer in answers])
    # A temperature scales a track's log-probabilities, however many clips they come from.
    logs = np.log(np.maximum(of_tracks(answers, 1.0), np.finfo(np.float64).tiny))
    said = [softmax(logs / temperature, axis=1) for temperature in temperatures]
    rows = np.arange(len(labels))
    losses = -np.log([np.maximum(tracks[rows, labels], _SMALLEST) for tracks in said])
    excess = losses - losses[losses.mean(axis=1).argmin()]
    likely = excess.mean(axis=1) <= excess.std(axis=1) / np.sqrt(len(labels))
    errors = [reliability(tracks, labels).ece for tracks in said]
    return float(temperatures[np.where(likely, errors, np.inf).argmin()])
