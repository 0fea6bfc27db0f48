"""Fitting the network to a dataset."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from serve.inference.outputs import Outputs
from train.data.dataset import Dataset, Float32
from train.fitting.batches import Batches
from train.fitting.distil import Distillation, teachers
from train.fitting.first_head import first_head
from train.fitting.recipe import Hardware, Recipe
from train.fitting.state import State, assign, values_of
from train.fitting.step import TrainingStep
from train.hardware import make_deterministic, precision, strategy_of
from train.model.network import build
from train.scoring.scores import Predict, Scores, evaluate

_PREDICT_BATCH = 512


@dataclass(frozen=True, slots=True)
class FitProgress:
    """The progress of a fit."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    seconds: float
    learning_rate: float = 0.0
    """of the next step"""
    valid: Scores | None = None
    """scores of the averaged weights, after the epochs that are evaluated"""


def fit(
    data: Dataset,
    recipe: Recipe,
    report: Callable[[FitProgress], None],
    hardware: Hardware | None = None,
    state: Path | None = None,
) -> keras.Model:
    """Train on the dataset's split `train`; the model has the averaged weights.

    `report` is called after every step. The split `valid`, if there is one, is only evaluated: no
    epoch is chosen by it. After every epoch the file `state` is written; if it exists, training
    resumes from it, with the result of an uninterrupted run.
    """
    fitting = _Fitting(data, recipe, hardware or Hardware())
    if state is not None and state.is_file():
        fitting.restore(State.load(state))
    while fitting.epoch < recipe.epochs:
        fitting.run_epoch(report)
        if state is not None:
            fitting.state().save(state)
    return fitting.averaged


class _Fitting:
    """The training of a model, epoch by epoch."""

    def __init__(self, data: Dataset, recipe: Recipe, hardware: Hardware) -> None:
        make_deterministic(recipe.seed)
        self.epoch = 0
        self._data, self._recipe = data, recipe
        self._rng = np.random.default_rng(recipe.seed)
        self._batches = Batches(data, recipe, self._rng)
        self._valid = [track for track in data.tracks if track.split == "valid"]
        known = [predictor(run.model()) for run in teachers(recipe.teachers, data)]
        self._distillation = Distillation(recipe, known)
        strategy = strategy_of(hardware)
        with strategy.scope(), precision(hardware.precision):
            self._model = build(data.front_end, len(data.genres), recipe.architecture)
            with precision("float32"):
                self.averaged = build(data.front_end, len(data.genres), recipe.architecture)
            if recipe.architecture.base is not None:
                first_head(self._model, data, recipe)
            self.averaged.set_weights(self._model.get_weights())
            steps = len(self._batches) * recipe.epochs
            self._step = TrainingStep(self._model, self.averaged, recipe, steps, strategy)
        self._predict = predictor(self.averaged)
        self._started = time.monotonic()

    def run_epoch(self, report: Callable[[FitProgress], None]) -> None:
        """Train for one epoch, and evaluate if it is due."""
        epochs, every = self._recipe.epochs, self._recipe.validate_every
        self.epoch += 1
        losses = []
        for number, (mel, labels) in enumerate(self._batches.epoch(), 1):
            losses.append(self._step(mel, self._distillation.targets(mel, labels)))
            scores = None
            last = number == len(self._batches)
            if self._valid and last and (self.epoch % every == 0 or self.epoch == epochs):
                scores = evaluate(self._predict, self._data, self._valid)
            report(
                FitProgress(
                    epoch=self.epoch,
                    epochs=epochs,
                    step=number,
                    steps=len(self._batches),
                    loss=float(np.mean(losses)),
                    seconds=time.monotonic() - self._started,
                    learning_rate=self._step.learning_rate() if last else 0.0,
                    valid=scores,
                )
            )

    def state(self) -> State:
        """The current state of training."""
        values = {name: values_of(variables) for name, variables in self._variables().items()}
        seconds = time.monotonic() - self._started
        return State(self.epoch, seconds, self._rng.bit_generator.state, values)

    def restore(self, state: State) -> None:
        """Resume from a state; raise DataError if it belongs to another network."""
        for name, variables in self._variables().items():
            assign(variables, list(state.variables.get(name, [])))
        self._rng.bit_generator.state = dict(state.rng)
        self.epoch = state.epoch
        self._started = time.monotonic() - state.seconds

    def _variables(self) -> dict[str, list[keras.Variable]]:
        # `variables`, unlike `weights`, holds the state of dropout's generator too.
        return {
            "model": self._model.variables,
            "average": self.averaged.variables,
            "optimizer": self._step.optimizer.variables,
        }


def predictor(model: keras.Model) -> Predict:
    """The model as a function of mel power (n, frames, mel bands)."""

    # With a signature, the graph is traced once instead of for every number of clips.
    @tf.function(input_signature=[tf.TensorSpec(model.input.shape, tf.float32)])  # type: ignore[untyped-decorator]
    def call(mel: Any) -> Any:
        return model(mel, training=False)

    def predict(mel: Float32) -> Outputs:
        parts = [
            call(tf.constant(mel[start : start + _PREDICT_BATCH]))
            for start in range(0, len(mel), _PREDICT_BATCH)
        ]
        return Outputs.joined(
            [Outputs.of({name: of.numpy() for name, of in part.items()}) for part in parts]
        )

    return predict
