"""`python -m export`: the newest run's checkpoint to a checked, parity-tested ONNX file."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from export.errors import ExportError
from train.dataset import Dataset, is_dataset
from train.errors import DataError
from train.evaluate import Scores, evaluate
from train.progress import bar

if TYPE_CHECKING:
    from export.listen import Heard
    from train.evaluate import Predict
    from train.runs import Run

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

MODEL = Path(__file__).parent.parent / "serve" / "models" / "topgenre.onnx"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    try:
        _export(options, console)
    except (DataError, ExportError) as error:
        console.print(f"[red]error:[/red] {error}", highlight=False)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("export", description=__doc__)
    add = parser.add_argument
    add("run", type=Path, nargs="?", help="folder of a run; the newest one where none is given")
    add("--runs", type=Path, default=Path("runs"), help="folder of runs (%(default)s)")
    add("--cache", type=Path, default=Path("data"), help="folder of datasets (%(default)s)")
    add("--audio", type=Path, help="folder of genre/track files to measure the model on")
    add("--splits", type=Path, help="their splits, where the folder has no tracks.csv")
    add("--out", type=Path, default=MODEL, help="the file to write; its card lies beside it")
    return parser


def _export(options: argparse.Namespace, console: Console) -> None:
    # TensorFlow takes seconds to load: only when there is something to do.
    from export import card, convert, graph, parity, session
    from train import runs
    from train.fit import predictor

    run = runs.Run.load(options.run) if options.run else runs.newest(options.runs)
    console.print(f"exporting {run.folder}", highlight=False)
    keras_model = run.model()
    model = convert.convert(keras_model, run.front_end)
    graph.check(model, run.front_end, len(run.genres))
    predict = session.onnx_predictor(model)
    table = parity.compare(predictor(keras_model), predict, run.front_end)
    for row in table:
        console.print(f"{row.clips:4d} clips: within {row.largest:.1e}", highlight=False)
    data = _dataset_of(run, options.cache)
    valid = _valid_scores(run, predict, data)
    heard = _heard(run, predict, data, options, console)
    about = card.make_card(run, valid, heard)
    convert.describe(model, about)
    seconds = session.seconds_for(predict, parity.probe(run.front_end, table[-1].clips))
    text = card.page(about, model, valid, heard, table, seconds)
    _write(options.out, model.SerializeToString(), text)
    console.print(
        f"[green]wrote[/green] {options.out}: valid tracks {valid.track_accuracy:.1%}, clips "
        f"{valid.clip_accuracy:.1%}; {table[-1].clips} clips in {seconds * 1e3:.0f} ms",
        highlight=False,
    )


def _dataset_of(run: Run, cache: Path) -> Dataset | None:
    """The dataset that the run was trained on, where it is still there."""
    for folder in sorted(cache.glob("*")):
        if is_dataset(folder):
            with contextlib.suppress(DataError):  # another dataset's faults are not this run's
                data = Dataset.load(folder)
                if data.digest == run.config["data"]["sha256"]:
                    return data
    return None


def _valid_scores(run: Run, predict: Predict, data: Dataset | None) -> Scores:
    """The exported model's scores, or without the data those that training noted."""
    if data is None:
        return Scores(**run.metrics["valid"])
    return evaluate(predict, data, data.of("valid"))


def _heard(
    run: Run,
    predict: Predict,
    data: Dataset | None,
    options: argparse.Namespace,
    console: Console,
) -> list[Heard]:
    if options.audio is None:
        return []
    from export import listen

    with bar(console) as progress:
        task = progress.add_task("listening", total=None)
        answers = listen.listen(
            predict,
            run.front_end,
            options.audio,
            options.splits,
            lambda done, total: progress.update(task, completed=done, total=total),
        )
    return listen.group(answers, run.genres, predict, data)


def _write(path: Path, model: bytes, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_bytes(model)
    partial.replace(path)
    path.with_suffix(".md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
