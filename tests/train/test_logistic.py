from __future__ import annotations

import numpy as np
from scipy.special import log_softmax

from serve.inference.outputs import Float64
from train.data.dataset import Float32
from train.model.logistic import mean_and_deviation, regression

PENALTY = 0.01


def blobs() -> tuple[Float32, Float32, Float64]:
    """Features that tell three classes, the first two of them equally well; targets; weights."""
    rng = np.random.default_rng(1)
    labels = np.arange(90) % 3
    features = rng.normal(size=(90, 4))
    features[:, :2] += 2.0 * labels[:, None]
    weights = rng.uniform(0.5, 1.5, 90)
    return features.astype(np.float32), np.eye(3, dtype=np.float32)[labels], weights


def test_a_head_does_not_follow_what_it_should_not() -> None:
    features, targets, weights = blobs()
    shift = np.array([[3.0, 0.0, 0.0, 0.0]])
    free, _ = regression(features, targets, weights, PENALTY)
    held, bias = regression(features, targets, weights, PENALTY, shift)
    assert np.abs(shift @ held).max() < 0.1 * np.abs(shift @ free).max()
    right = (features @ held + bias).argmax(axis=1) == targets.argmax(axis=1)
    assert right.mean() > 0.7, "another feature tells them"
    # What is far too small to matter changes nothing.
    same, _ = regression(features, targets, weights, PENALTY, 1e-6 * shift)
    np.testing.assert_allclose(same, free, atol=1e-3)


def test_it_is_the_least_of_loss_and_penalties() -> None:
    features, targets, weights = blobs()
    shifts = np.random.default_rng(2).normal(size=(5, 4))
    kernel, bias = regression(features, targets, weights, PENALTY, shifts)
    _, deviation = mean_and_deviation(features, weights)

    def loss(kernel: Float64, bias: Float64) -> float:
        logs = (targets * log_softmax(features @ kernel + bias, axis=1)).sum(axis=1)
        squares = np.square(deviation[:, None] * kernel).sum()
        return float(
            PENALTY * squares + np.square(shifts @ kernel).sum() - np.average(logs, weights=weights)
        )

    least = loss(kernel, bias)
    for index in np.ndindex(kernel.shape):
        step = np.zeros_like(kernel)
        step[index] = 0.05
        assert loss(kernel + step, bias) > least < loss(kernel - step, bias)
    for step in 0.05 * np.eye(len(bias)):
        assert loss(kernel, bias + step) > least < loss(kernel, bias - step)
