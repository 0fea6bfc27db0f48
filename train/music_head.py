"""A logistic regression that tells music from other sounds by what a teacher hears in them."""

from __future__ import annotations

import numpy as np
import scipy.optimize

from serve.inference.outputs import Float64
from train.dataset import Float32

# Of the squared weights of standardised logits, for each clip.
_PENALTY = 1e-3


def fit(music: Float32, other: Float32) -> tuple[Float64, float]:
    """Weights (classes,) and bias of the logit of being music.

    `music` and `other` are logits (clips, classes) of clips that are music and of those that are
    not. Both kinds weigh the same, however many clips there are.
    """
    logits = np.concatenate([music, other]).astype(np.float64)
    mean, deviation = logits.mean(axis=0), logits.std(axis=0) + 1e-6
    standardised = (logits - mean) / deviation
    sign = np.concatenate([np.ones(len(music)), -np.ones(len(other))])
    weight = np.concatenate([np.full(len(of), 0.5 / len(of)) for of in (music, other)])

    def loss(parameters: Float64) -> tuple[float, Float64]:
        margin = sign * (standardised @ parameters[:-1] + parameters[-1])
        slope = -weight * sign / (1.0 + np.exp(margin))
        total = float(weight @ np.logaddexp(0.0, -margin) + _PENALTY * (parameters[:-1] ** 2).sum())
        inner = standardised.T @ slope + 2.0 * _PENALTY * parameters[:-1]
        return total, np.append(inner, slope.sum())

    found = scipy.optimize.minimize(loss, np.zeros(logits.shape[1] + 1), jac=True).x
    weights = found[:-1] / deviation
    return weights, float(found[-1] - weights @ mean)
