"""The temperature at which probabilities mean what they say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from scipy.special import softmax

from serve.inference.outputs import Float64, Outputs, track_probabilities
from train.scoring.measures import reliability

# Temperatures beyond these are a sign of something else.
_RANGE = (0.05, 5.0)
# Between them, two per cent apart.
_TRIED = 233
_SMALLEST = 1e-12


class Answered(Protocol):
    """A track's label, and what a model says of its clips."""

    @property
    def label(self) -> int:
        """The column of its genre."""
        ...

    @property
    def clips(self) -> Outputs:
        """What is said of its clips."""
        ...


def of_tracks(answers: Sequence[Answered], temperature: float) -> Float64:
    """Probabilities of tracks (tracks, genres) whose sharpness is the inverse of this."""
    return np.stack([track_probabilities(answer.clips, 1.0 / temperature) for answer in answers])


def best_temperature(answers: Sequence[Answered]) -> float:
    """The temperature at which the tracks' probabilities are best calibrated.

    One number fitted to all tracks at once, as by Guo et al., On Calibration of Modern Neural
    Networks (2017). Over a wide range the labels are
    as likely as at the likeliest, as far as so few tracks can tell (by one standard error of the
    difference): of these, that with the least expected calibration error.
    """
    temperatures = np.geomspace(*_RANGE, _TRIED)
    labels = np.array([answer.label for answer in answers])
    # A temperature works on a track's logarithms, however many clips they come from.
    logs = np.log(np.maximum(of_tracks(answers, 1.0), np.finfo(np.float64).tiny))
    said = [softmax(logs / temperature, axis=1) for temperature in temperatures]
    rows = np.arange(len(labels))
    losses = -np.log([np.maximum(tracks[rows, labels], _SMALLEST) for tracks in said])
    excess = losses - losses[losses.mean(axis=1).argmin()]
    likely = excess.mean(axis=1) <= excess.std(axis=1) / np.sqrt(len(labels))
    errors = [reliability(tracks, labels).ece for tracks in said]
    return float(temperatures[np.where(likely, errors, np.inf).argmin()])
