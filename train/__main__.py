"""`python -m train DATA`: data to a trained, evaluated checkpoint in a run folder."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from serve.audio.frontend import FrontEnd
from train.data import Prepared, Source, prepare
from train.errors import DataError
from train.progress import bar

if TYPE_CHECKING:
    from train.evaluate import Scores
    from train.fit import Progress, Recipe

# TensorFlow greets with a page of notes on devices; its errors still come as exceptions.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    try:
        prepared = _prepare(options, console)
        _train(prepared, options, console)
    except DataError as error:
        console.print(f"[red]error:[/red] {error}", highlight=False)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("train", description=__doc__)
    add = parser.add_argument
    add("data", type=Path, help="folder of genre/track audio files, of mel.npz, or a dataset")
    add("--splits", type=Path, help="folder of train.txt and valid.txt, or a table track,split")
    add("--cache", type=Path, default=Path("data"), help="folder for datasets made (%(default)s)")
    add("--runs", type=Path, default=Path("runs"), help="folder of runs (%(default)s)")
    add("--about", default="", help="what the data are, for the model's card")
    add("--seed", type=int, default=1, help="of everything random (%(default)s)")
    add("--epochs", type=_positive, help="passes over the tracks")
    add("--clips-per-track", type=_positive, help="random clips of a track in an epoch")
    add("--batch", type=_positive, help="clips in a step")
    add("--learning-rate", type=float, help="the highest")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _prepare(options: argparse.Namespace, console: Console) -> Prepared:
    source = Source(options.data, options.cache, FrontEnd(), options.splits, options.seed)
    with bar(console) as progress:
        task = progress.add_task("reading", total=None)
        prepared = prepare(
            source, lambda done, all_: progress.update(task, completed=done, total=all_)
        )
    for entry in prepared.data.skipped:
        console.print(f"[yellow]skipped[/yellow] {entry.name}: {entry.reason}", highlight=False)
    if prepared.warning:
        console.print(f"[yellow]warning:[/yellow] {prepared.warning}", highlight=False)
    return prepared


def _recipe(options: argparse.Namespace) -> Recipe:
    from train.fit import Recipe

    given = ("seed", "epochs", "clips_per_track", "batch", "learning_rate")
    values = {name: getattr(options, name) for name in given}
    return Recipe(**{name: value for name, value in values.items() if value is not None})


def _train(prepared: Prepared, options: argparse.Namespace, console: Console) -> None:
    from train import runs
    from train.evaluate import evaluate
    from train.fit import fit, predictor

    data, recipe = prepared.data, _recipe(options)
    tracks = {split: data.of(split) for split in ("train", "valid")}
    started = time.monotonic()
    folder = runs.start(options.runs, recipe, data, options.about)
    history = []
    with bar(console) as progress:
        task = progress.add_task("training", total=None)

        def report(now: Progress) -> None:
            done = (now.epoch - 1) * now.steps + now.step
            note = f"epoch {now.epoch}/{now.epochs} loss {now.loss:.3f}"
            progress.update(task, completed=done, total=now.epochs * now.steps, description=note)
            if now.step == now.steps:
                history.append(_entry(now))
            if now.valid is not None:
                console.print(f"{note}: {_summary(now.valid)}", highlight=False)

        model = fit(data, recipe, report)
    scores = {split: evaluate(predictor(model), data, of) for split, of in tracks.items()}
    metrics = {
        "parameters": model.count_params(),
        "seconds": round(time.monotonic() - started, 1),
        **{split: result.to_dict() for split, result in scores.items()},
        "history": history,
    }
    runs.finish(folder, model, metrics)
    console.print(_table(scores))
    console.print(f"[green]done[/green] in {metrics['seconds']:.0f} s: {folder}", highlight=False)


def _entry(now: Progress) -> dict[str, float]:
    entry = {"epoch": now.epoch, "loss": now.loss, "seconds": round(now.seconds, 1)}
    if now.valid is not None:
        entry["valid_track_accuracy"] = now.valid.track_accuracy
        entry["valid_clip_accuracy"] = now.valid.clip_accuracy
        entry["valid_track_loss"] = now.valid.track_loss
    return entry


def _summary(scores: Scores) -> str:
    return f"valid tracks {scores.track_accuracy:.1%}, clips {scores.clip_accuracy:.1%}"


def _table(scores: dict[str, Scores]) -> Table:
    table = Table("split", "tracks", "clips", "right tracks", "right clips")
    for split, of in scores.items():
        right = f"{of.track_accuracy:.1%}", f"{of.clip_accuracy:.1%}"
        table.add_row(split, str(of.tracks), str(of.clips), *right)
    return table


if __name__ == "__main__":
    sys.exit(main())
