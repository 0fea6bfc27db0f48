"""One step of training, on one device or on several."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from serve.inference.outputs import MUSIC, PROBABILITIES
from train.data.dataset import Float32
from train.errors import DataError
from train.fitting.batches import is_music
from train.fitting.recipe import Recipe
from train.model.network import base_variables, logits_of


class TrainingStep:
    """Updates the model's weights by one batch, and then their moving average.

    Create it in the scope of `strategy`. `steps` is the number of steps in the whole run.
    """

    def __init__(
        self, model: keras.Model, averaged: keras.Model, recipe: Recipe, steps: int, strategy: Any
    ) -> None:
        self.optimizer = _optimizer(model, recipe, steps)
        self._model = model
        self._logits = logits_of(model)
        self._averaged = averaged
        self._average = recipe.average
        self._base_rate = recipe.base_rate
        self._base = base_variables(model)
        self._strategy = strategy
        self._replicas: int = strategy.num_replicas_in_sync
        # With teachers, `Distillation` has already smoothed the labels' share.
        smoothing = 0.0 if recipe.teachers else recipe.label_smoothing
        self._loss = keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=smoothing, reduction="none"
        )
        self._music_loss = keras.losses.BinaryCrossentropy(from_logits=True, reduction="none")
        self._step = tf.function(self._distributed)

    def __call__(self, mel: Float32, targets: Float32) -> float:
        """The batch's mean loss; mel power (n, frames, mel bands), targets (n, genres)."""
        music = is_music(targets).astype(np.float32)[:, None]
        return float(self._step(*map(self._share, (mel, targets, music))))

    def learning_rate(self) -> float:
        """The rate of the next step."""
        return float(self.optimizer.learning_rate)

    def _share(self, batch: Float32) -> Any:
        if self._replicas == 1:
            return tf.constant(batch)
        if len(batch) % self._replicas:
            raise DataError(f"a batch of {len(batch)} can't be shared by {self._replicas} devices")
        parts = np.split(batch, self._replicas)
        return self._strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(parts[context.replica_id_in_sync_group])
        )

    def _distributed(self, mel: Any, targets: Any, music: Any) -> Any:
        before = [tf.identity(variable) for variable in self._base]
        losses = self._strategy.run(self._on_replica, args=(mel, targets, music))
        # Scale the optimizer's whole update of the base, weight decay included.
        for variable, start in zip(self._base, before, strict=True):
            variable.assign(start + self._base_rate * (variable - start))
        self._update_average()
        return self._strategy.reduce(tf.distribute.ReduceOp.MEAN, losses, axis=None)

    def _on_replica(self, mel: Any, targets: Any, music: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = self._logits(mel, training=True)
            losses = self._loss(targets, logits[PROBABILITIES])
            if MUSIC in logits:
                losses += self._music_loss(music, logits[MUSIC])
            # Keras' own mean is divided by the number of replicas in some releases only.
            loss = tf.reduce_mean(losses)
            # The optimizer sums the gradients of all replicas.
            scaled = self.optimizer.scale_loss(loss / self._replicas)
        variables = self._model.trainable_variables
        gradients = tape.gradient(scaled, variables)
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss

    def _update_average(self) -> None:
        # Early on, the average follows closely, or it would keep the random start.
        count = tf.cast(self.optimizer.iterations, tf.float32)
        decay = tf.minimum(self._average, (1.0 + count) / (10.0 + count))
        # `weights` includes the statistics of batch normalisation, which are averaged too.
        for mean, now in zip(self._averaged.weights, self._model.weights, strict=True):
            if now.dtype == "float32":
                mean.assign(decay * mean + (1.0 - decay) * now)


def _optimizer(model: keras.Model, recipe: Recipe, steps: int) -> keras.optimizers.Optimizer:
    warm_up = max(1, int(recipe.warm_up * steps))
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warm_up), warmup_target=recipe.learning_rate, warmup_steps=warm_up
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay)
    # No weight decay for biases and normalisation scales.
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    if keras.config.dtype_policy().name == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(model.trainable_variables)
    return optimizer
