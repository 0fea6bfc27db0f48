"""`python -m export`: the newest run's checkpoint to a checked, parity-tested ONNX file."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from export.errors import ExportError
from train.data.dataset import Dataset
from train.errors import DataError
from train.progress import bar
from train.scoring.scores import Scores, evaluate

if TYPE_CHECKING:
    import keras
    import onnx

    from export.calibrate import Calibration
    from export.listen import Heard
    from export.variants import Variant
    from train.evaluation.robustness import Changed
    from train.fitting.runs import Run
    from train.scoring.scores import Predict

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
    add("run", type=Path, nargs="?", help="folder of a run (the newest one)")
    add("--runs", type=Path, default=Path("runs"), help="folder of runs (%(default)s)")
    add("--cache", type=Path, default=Path("data"), help="folder of datasets (%(default)s)")
    add("--audio", type=Path, help="folder of genre/track files to measure the model on")
    add("--splits", type=Path, help="splits of --audio, if it has no tracks.csv")
    add("--out", type=Path, default=MODEL, help="the file to write, with its card beside it")
    return parser


def _export(options: argparse.Namespace, console: Console) -> None:
    # TensorFlow takes seconds to load, so it is imported only when needed.
    from export import card, card_page, convert, graph, loop, non_music, parity, session
    from train.fitting import runs
    from train.fitting.fit import predictor
    from train.model.network import names_of

    run = runs.Run.load(options.run) if options.run else runs.newest(options.runs)
    console.print(f"exporting {run.folder}", highlight=False)
    # A refit was trained on the validation tracks, so the run that it refits is scored instead.
    known = run.measured
    data = known.find_dataset(options.cache)
    keras_model = known.model()
    calibration = _calibrate(keras_model, data)
    measurable = model = convert.convert(keras_model, run.front_end)
    if known is not run:
        keras_model = run.model()
        model = convert.convert(keras_model, run.front_end)
    predict = session.onnx_predictor(model)
    table = parity.compare(predictor(keras_model), predict, run.front_end)
    for row in table:
        console.print(f"{row.clips:4d} clips: within {row.largest:.1e}", highlight=False)
    known_predict = session.onnx_predictor(measurable)
    valid = _valid_scores(known, known_predict, data)
    heard, changed = _listen(known, known_predict, options, console)
    about = card.make_card(run, names_of(keras_model), valid, heard, calibration)
    graph.check(model, about)
    convert.describe(model, about)
    in_steps = session.onnx_predictor(loop.add_loop(model))
    parity.compare(predict, in_steps, run.front_end)
    seconds = session.seconds_for(in_steps, parity.probe(run.front_end, table[-1].clips))
    measured = card_page.Measured(
        valid=valid,
        calibration=calibration,
        heard=heard,
        changed=changed,
        sounds=non_music.sounds(predict, run.front_end, run.genres),
        parity=table,
        seconds=seconds,
        variants=_variants(run, model, measurable, data, valid, seconds),
    )
    _write(options.out, model.SerializeToString(), card_page.markdown(about, model, measured))
    console.print(
        f"[green]wrote[/green] {options.out}: valid tracks {valid.track_accuracy:.1%}, clips "
        f"{valid.clip_accuracy:.1%}; {table[-1].clips} clips in {seconds * 1e3:.0f} ms",
        highlight=False,
    )


def _calibrate(model: keras.Model, data: Dataset | None) -> Calibration | None:
    """The sharpness that calibrates tracks' probabilities; None without the data."""
    from export import calibrate
    from train.fitting.fit import predictor

    if data is None:
        return None
    return calibrate.measure(predictor(model), data, data.of("valid"))


def _variants(
    run: Run,
    model: onnx.ModelProto,
    measurable: onnx.ModelProto,
    data: Dataset | None,
    valid: Scores,
    seconds: float,
) -> list[Variant]:
    """Write the model at lower precision into the run's folder; measure it on the valid tracks.

    `measurable` is measured at the same precision: the model itself, or the one whose scores stand
    for it. `valid` and `seconds` are its own at full precision, the first of the list.
    """
    from export import variants

    if data is None:
        return []
    clips = variants.calibration_clips(data)

    def smaller(of: onnx.ModelProto) -> dict[str, onnx.ModelProto]:
        return {"fp16": variants.half(of), "int8": variants.quantised(of, clips)}

    made = smaller(model)
    measured = made if measurable is model else smaller(measurable)
    for name, variant in made.items():
        path = run.folder / "variants" / f"topgenre-{name}.onnx"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(variant.SerializeToString())
    itself = variants.describe("fp32", model, valid, seconds)
    return [itself, *(variants.measure(name, of, data) for name, of in measured.items())]


def _valid_scores(run: Run, predict: Predict, data: Dataset | None) -> Scores:
    """The exported model's scores, or without the data those recorded in training."""
    if data is None:
        return Scores(**run.metrics["valid"])
    return evaluate(predict, data, data.of("valid"))


def _listen(
    run: Run, predict: Predict, options: argparse.Namespace, console: Console
) -> tuple[list[Heard], list[Changed]]:
    """Scores on audio files, and the effect of audio changes on the validation tracks."""
    if options.audio is None:
        return [], []
    from export import listen
    from train.data import splits
    from train.evaluation import held_out, robustness

    of_track = splits.read(options.splits or options.audio / "tracks.csv")
    files = held_out.files(options.audio, of_track)
    valid = [file for file in files if file.split == "valid"]
    with bar(console) as progress:
        listened = progress.track(files, description="listening")
        heard = listen.listen(predict, run.front_end, listened, run.genres)
        found = held_out.usable(progress.track(valid, description="changing audio"), run.front_end)
        tracks = ((run.genres.index(of.file.genre), of.samples) for of in found)
        changed = robustness.robustness(predict, run.front_end, tracks)
    return heard, changed


def _write(path: Path, model: bytes, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_bytes(model)
    partial.replace(path)
    path.with_suffix(".md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
