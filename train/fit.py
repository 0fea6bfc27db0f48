"""Fitting the network to a dataset."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from train.augment import Augmentation
from train.batches import Batches
from train.dataset import Dataset, Float32
from train.evaluate import Scores, evaluate
from train.network import Architecture, build, logits_of

_PREDICT_BATCH = 512


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that, with the data, decides what comes out of a run."""

    seed: int = 1
    epochs: int = 80
    clips_per_track: int = 21
    """random clips of each track in an epoch"""
    batch: int = 64
    learning_rate: float = 2e-3
    """highest, after the warm-up; then half a cosine down to zero"""
    warm_up: float = 0.05
    """share of all steps"""
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    average: float = 0.998
    """decay in a step of the moving average of the weights, which is what is kept"""
    validate_every: int = 5
    """epochs from one evaluation to the next; no epoch is chosen by it"""
    architecture: Architecture = field(default_factory=Architecture)
    augmentation: Augmentation = field(default_factory=Augmentation)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a fit has come."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    seconds: float
    valid: Scores | None = None
    """scores of the averaged weights, after the epochs that are evaluated"""


def make_deterministic(seed: int) -> None:
    """Seed every generator and let TensorFlow use only operations that repeat themselves."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def fit(data: Dataset, recipe: Recipe, report: Callable[[Progress], None]) -> keras.Model:
    """Train on the dataset's split `train`; the model has the averaged weights.

    `report` is called after every step. The split `valid` is only looked at, never chosen by.
    """
    make_deterministic(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    batches = Batches(data, recipe.clips_per_track, recipe.batch, recipe.augmentation, rng)
    model = build(data.front_end, len(data.genres), recipe.architecture)
    averaged = build(data.front_end, len(data.genres), recipe.architecture)
    averaged.set_weights(model.get_weights())
    step = _training_step(model, averaged, recipe, len(batches) * recipe.epochs)
    valid = data.of("valid")
    started = time.monotonic()
    for epoch in range(1, recipe.epochs + 1):
        losses = []
        for number, (mel, targets) in enumerate(batches.epoch(), 1):
            losses.append(float(step(mel, targets)))
            scores = None
            last = number == len(batches)
            if last and (epoch % recipe.validate_every == 0 or epoch == recipe.epochs):
                scores = evaluate(predictor(averaged), data, valid)
            seconds = time.monotonic() - started
            mean = float(np.mean(losses))
            report(Progress(epoch, recipe.epochs, number, len(batches), mean, seconds, scores))
    return averaged


def predictor(model: keras.Model) -> Callable[[Float32], Float32]:
    """The model as a function of mel power (n, frames, mel bands)."""

    # With a signature the graph is traced once, not for every number of clips.
    @tf.function(input_signature=[tf.TensorSpec(model.input.shape, tf.float32)])  # type: ignore[untyped-decorator]
    def call(mel: Any) -> Any:
        return model(mel, training=False)

    def predict(mel: Float32) -> Float32:
        parts = [
            call(tf.constant(mel[start : start + _PREDICT_BATCH])).numpy()
            for start in range(0, len(mel), _PREDICT_BATCH)
        ]
        return np.concatenate(parts)

    return predict


def _training_step(
    model: keras.Model, averaged: keras.Model, recipe: Recipe, steps: int
) -> Callable[[Float32, Float32], Any]:
    warm_up = max(1, int(recipe.warm_up * steps))
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps - warm_up, warmup_target=recipe.learning_rate, warmup_steps=warm_up
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay)
    # Decay is for what multiplies the signal: not for biases and the scales of normalisation.
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    optimizer.build(model.trainable_variables)
    loss_of = keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=recipe.label_smoothing
    )
    logits = logits_of(model)

    @tf.function  # type: ignore[untyped-decorator]
    def step(mel: Any, targets: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = loss_of(targets, logits(mel, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        # Early on the average follows closely, or it would remember the random start.
        count = tf.cast(optimizer.iterations, tf.float32)
        decay = tf.minimum(recipe.average, (1.0 + count) / (10.0 + count))
        # `weights` holds the statistics of batch normalisation too: they belong to the average.
        for mean, now in zip(averaged.weights, model.weights, strict=True):
            if now.dtype == "float32":
                mean.assign(decay * mean + (1.0 - decay) * now)
        return loss

    return lambda mel, targets: step(tf.constant(mel), tf.constant(targets))
