"""Logistic regression for the first head on a base: exact and deterministic."""

from __future__ import annotations

import numpy as np
import scipy.optimize
from numpy.typing import NDArray
from scipy.special import log_softmax

from serve.inference.outputs import Float64
from train.data.dataset import Float32


def regression(
    features: Float32,
    targets: Float32,
    weights: Float64,
    penalty: float,
    shifts: Float64 | None = None,
) -> tuple[Float64, Float64]:
    """Kernel (features, classes) and bias (classes,) of multinomial logistic regression.

    It is fitted to clips (n, features) with `targets` (n, classes), whose rows sum to 1, and
    `weights` (n,). The loss is the weighted mean cross-entropy of a clip, plus `penalty` times the
    squared kernel (for standardised features), plus the squared changes of the logits by each of
    `shifts` (shifts, features), which should not change them.
    """
    mean, deviation = mean_and_deviation(features, weights)
    standardised = ((features - mean) / deviation).astype(np.float64)
    share = (weights / weights.sum())[:, None]
    shape = features.shape[1] + 1, targets.shape[1]
    moves = np.zeros((0, features.shape[1])) if shifts is None else shifts / deviation

    def loss(flat: Float64) -> tuple[float, Float64]:
        parameters = flat.reshape(shape)
        kernel, bias = parameters[:-1], parameters[-1]
        logs = log_softmax(standardised @ kernel + bias, axis=1)
        error = share * (np.exp(logs) - targets)
        moved = moves @ kernel
        of_squares = 2.0 * (penalty * kernel + moves.T @ moved)
        slope = np.vstack([standardised.T @ error + of_squares, error.sum(axis=0)])
        squares = penalty * np.square(kernel).sum() + np.square(moved).sum()
        return float(squares - (share * targets * logs).sum()), slope.ravel()

    found = scipy.optimize.minimize(loss, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B")
    parameters = found.x.reshape(shape)
    kernel = parameters[:-1] / deviation[:, None]
    return kernel, parameters[-1] - mean @ kernel


def mean_and_deviation(
    features: Float32, weights: Float64 | None = None
) -> tuple[Float32, Float32]:
    """Mean and standard deviation of features (n, features), each (features,)."""
    mean = np.average(features, axis=0, weights=weights)
    deviation = np.sqrt(np.average(np.square(features - mean), axis=0, weights=weights))
    # Features that hardly vary must not be scaled up into noise.
    return mean, deviation + 0.05 * np.sqrt(np.square(deviation).mean()) + 1e-12


def balanced(labels: NDArray[np.intp], shares: Float64 | None = None) -> Float64:
    """Weights (n,) that balance the classes; within a class they are proportional to `shares`."""
    of = np.ones(len(labels)) if shares is None else shares
    return of / np.bincount(labels, of)[labels]


def music_head(music: Float32, other: Float32, penalty: float) -> tuple[Float64, float]:
    """Weights (classes,) and bias of the logit of music.

    `music` and `other` are a teacher's logits (clips, classes) of music and non-music; both kinds
    weigh the same.
    """
    labels = np.repeat([0, 1], [len(other), len(music)])
    targets = np.eye(2, dtype=np.float32)[labels]
    logits = np.concatenate([other, music])
    kernel, bias = regression(logits, targets, balanced(labels), penalty)
    return kernel[:, 1] - kernel[:, 0], float(bias[1] - bias[0])
