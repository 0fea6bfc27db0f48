"""The temperature at which probabilities mean what they say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import scipy.optimize

from train.dataset import Float32

# Temperatures beyond these are a sign of something else.
_RANGE = (0.2, 5.0)
_SMALLEST = 1e-12


class Answered(Protocol):
    """A track's label and its clips' probabilities (clips, genres)."""

    @property
    def label(self) -> int:
        """The column of its genre."""
        ...

    @property
    def probabilities(self) -> Float32:
        """Of its clips."""
        ...


def tempered(probabilities: Float32, temperature: float) -> Float32:
    """The softmax of the logits divided by `temperature`, from their softmax."""
    logits = np.log(np.maximum(probabilities, _SMALLEST)) / temperature
    exponential = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponential / exponential.sum(axis=1, keepdims=True), np.float32)


def best_temperature(answers: Sequence[Answered]) -> float:
    """The temperature of the clips' logits that makes the tracks' labels likeliest.

    One number fitted to all tracks at once: Guo et al., On Calibration of Modern Neural Networks
    (2017), with the loss taken after the mean over clips.
    """

    def loss(log_temperature: float) -> float:
        temperature = float(np.exp(log_temperature))
        likelihoods = [
            float(tempered(answer.probabilities, temperature).mean(axis=0)[answer.label])
            for answer in answers
        ]
        return -float(np.mean(np.log(np.maximum(likelihoods, _SMALLEST))))

    low, high = np.log(_RANGE)
    found = scipy.optimize.minimize_scalar(loss, bounds=(low, high), method="bounded")
    return float(np.exp(found.x))
