"""A run from its beginning, or from where it was stopped, to its end."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from train import runs
from train.dataset import Dataset
from train.evaluate import Scores, evaluate
from train.fit import Progress, fit, predictor
from train.progress import bar
from train.record import Record
from train.runs import Run
from train.state import State

# Those whose scores a run notes; `test` is for `evaluate` alone.
_SCORED = ("train", "valid")


def train(run: Run, data: Dataset, console: Console) -> Run:
    """Train what is left of a run and finish it; raise DataError where the data don't do."""
    tracks = {split: data.of(split) for split in _SCORED}
    recipe = run.recipe
    done = State.load(run.state).epoch if run.state.is_file() else 0
    if done:
        console.print(f"going on after epoch {done}", highlight=False)
    record = Record(run, done)
    with bar(console) as progress:
        task = progress.add_task("training", total=None)

        def report(now: Progress) -> None:
            steps = (now.epoch - 1) * now.steps + now.step
            note = f"epoch {now.epoch}/{now.epochs} loss {now.loss:.3f}"
            total = now.epochs * now.steps
            progress.update(task, completed=steps, total=total, description=note)
            if now.step == now.steps:
                record.add(now)
            if now.valid is not None:
                console.print(f"{note}: {_summary(now.valid)}", highlight=False)

        model = fit(data, recipe, report, run.hardware, run.state)
    record.close()
    predict = predictor(model)
    scores = {split: evaluate(predict, data, of) for split, of in tracks.items()}
    metrics: dict[str, Any] = {
        "parameters": model.count_params(),
        "seconds": record.history[-1]["seconds"],
        **{split: result.to_dict() for split, result in scores.items()},
        "history": record.history,
    }
    return runs.finish(run.folder, model, metrics)


def _summary(scores: Scores) -> str:
    return f"valid tracks {scores.track_accuracy:.1%}, clips {scores.clip_accuracy:.1%}"
