"""Trains a run to its end, from the start or from where it was stopped."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console

from train.data.dataset import Dataset
from train.errors import DataError
from train.fitting import runs
from train.fitting.fit import FitProgress, fit, predictor
from train.fitting.history import History
from train.fitting.runs import Run
from train.fitting.state import State
from train.progress import bar
from train.scoring.scores import Scores, evaluate

# The splits a run is scored on; `test` is for the command `evaluate` alone.
_SCORED = ("train", "valid")


class Diverged(DataError):
    """The loss became infinite or NaN."""


def train_with_bar(run: Run, data: Dataset, console: Console) -> Run:
    """`train` with a progress bar, and a line for each evaluation."""
    if done := _epochs_done(run):
        console.print(f"resuming after epoch {done}", highlight=False)
    with bar(console) as progress:
        task = progress.add_task("training", total=None)

        def show(now: FitProgress) -> None:
            note = summary(now)
            done, total = steps(now)
            progress.update(task, completed=done, total=total, description=note)
            if now.valid is not None:
                console.print(f"{note}: {_scores(now.valid)}", highlight=False)

        return train(run, data, show)


def train(run: Run, data: Dataset, report: Callable[[FitProgress], None]) -> Run:
    """Train what is left of a run and finish it; `report` is called after every step.

    Raises DataError if the data can't be trained on, Diverged if the loss is not finite.
    """
    tracks = {split: data.of(split) for split in _SCORED if split in run.config["data"]["tracks"]}
    record, begun = History(run, _epochs_done(run)), time.monotonic()

    def note(now: FitProgress) -> None:
        if not math.isfinite(now.loss):
            raise Diverged(
                f"the loss is {now.loss} in epoch {now.epoch}: try a lower learning rate"
            )
        if now.step == now.steps:
            record.add(now)
        report(now)

    try:
        model = fit(data, run.recipe, note, run.hardware, run.state)
    finally:
        record.close()
    predict = predictor(model)
    scores = {split: evaluate(predict, data, of) for split, of in tracks.items()}
    metrics: dict[str, Any] = {
        "parameters": model.count_params(),
        "seconds": record.history[-1]["seconds"] if record.history else time.monotonic() - begun,
        **{split: result.to_dict() for split, result in scores.items()},
        "history": record.history,
    }
    return runs.finish(run.folder, model, metrics)


def steps(now: FitProgress) -> tuple[int, int]:
    """Number of steps done, and their total."""
    return (now.epoch - 1) * now.steps + now.step, now.epochs * now.steps


def summary(now: FitProgress) -> str:
    """The progress in a few words."""
    return f"epoch {now.epoch}/{now.epochs} loss {now.loss:.3f}"


def _epochs_done(run: Run) -> int:
    return State.load(run.state).epoch if run.state.is_file() else 0


def _scores(scores: Scores) -> str:
    return f"valid tracks {scores.track_accuracy:.1%}, clips {scores.clip_accuracy:.1%}"
