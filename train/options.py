"""The options of the command line, and what they stand for."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from serve.audio.frontend import FrontEnd
from train import pretrained
from train.adapting.adaptation import CLIPS, Adaptation
from train.data.plan import WAYS, SplitPlan
from train.data.source import Source
from train.data.tracks import SPLITS
from train.errors import DataError
from train.fitting.recipe import DEVICES, ON_BASE, PRECISIONS, Hardware, Recipe
from train.model.architecture import Architecture
from train.model.pinned import Pinned
from train.pretrained import BASE

PARTS = (*SPLITS, "all")
_DATA = "folder of genre/track audio files, or a dataset"
_FRONT_END = ("hop_length", "n_fft", "n_mels")
_RECIPE = ("epochs", "clips_per_track", "batch", "learning_rate")


def parser() -> argparse.ArgumentParser:
    """The parser of `python -m train`."""
    top = argparse.ArgumentParser("train", description="Train, evaluate and report.")
    commands = top.add_subparsers(dest="command", required=True)
    fit = _training(commands, "fit", "train and evaluate a run on data (the default)")
    refit = "refit a finished run on its train and valid tracks together"
    fit.add_argument("--refit", type=Path, metavar="RUN", help=refit)
    _add_teachers(fit)
    _training(commands, "folds", "cross-validation: a run for each fold; mean and spread")
    search = _training(commands, "search", "train runs over a space of recipes; best first")
    search.add_argument("--space", type=Path, metavar="FILE", help="TOML; see train/spaces")
    data = commands.add_parser("data", help="only build the dataset")
    data.add_argument("data", type=Path, help=_DATA)
    _add_data(data)
    _add_base(data)
    adapt = commands.add_parser("adapt", help="adapt a teacher to our front end, for --base")
    adapt.add_argument("teacher", type=Path, help="Keras file of a network trained on AudioSet")
    adapt.add_argument("audio", type=Path, help="folder of any music, unlabelled, at any depth")
    _add_adaptation(adapt)
    evaluate = commands.add_parser("evaluate", help="score a run")
    _add_run(evaluate)
    evaluate.add_argument("--data", type=Path, help="data other than the run's own")
    evaluate.add_argument("--splits", type=Path, help="splits of --data, as in training")
    evaluate.add_argument("--part", choices=PARTS, default="valid", help="(%(default)s)")
    evaluate.add_argument("--json", action="store_true", help="print JSON instead of tables")
    report = commands.add_parser("report", help="write an HTML page about a run")
    _add_run(report)
    report.add_argument("--audio", type=Path, help="folder of its tracks' audio, genre/track")
    report.add_argument("--out", type=Path, help="file to write (report.html beside the run)")
    return top


def front_end_of(options: argparse.Namespace, default: FrontEnd | None = None) -> FrontEnd | None:
    """The front end, if any of its options is given; raise DataError if it is invalid."""
    given = {name: getattr(options, name) for name in _FRONT_END if getattr(options, name)}
    try:
        return replace(default or FrontEnd(), **given) if given else None
    except ValueError as error:
        raise DataError(f"invalid front end: {error}") from error


def base_of(options: argparse.Namespace) -> Path | None:
    """The base to build on: the given one, or the shipped one; None for no base."""
    return None if options.from_scratch else options.base or BASE


def source_of(options: argparse.Namespace) -> Source:
    """Data, front end and split; raise DataError if they contradict each other."""
    base = base_of(options)
    front_end = front_end_of(options)
    if base is not None:
        if front_end is not None:
            raise DataError("a base has its own front end: to use another, give --from-scratch")
        front_end = pretrained.front_end_of(base)
    if options.splits and options.split not in (None, "given"):
        raise DataError(f"--splits contradicts --split {options.split}")
    plan = SplitPlan(
        by=options.split,
        lists=options.splits,
        artists=options.artists,
        folds=options.folds,
        fold=options.fold,
        seed=options.seed,
    )
    return Source(options.data, options.cache, front_end, options.splits, plan, options.renditions)


def recipe_of(options: argparse.Namespace) -> Recipe:
    """The recipe with the given options, except teachers."""
    return replace(default_recipe(options), seed=options.seed, **given_of(options))


def default_recipe(options: argparse.Namespace) -> Recipe:
    """The default recipe on the base, or from scratch; raise DataError if it can't be read."""
    if (base := base_of(options)) is None:
        return Recipe()
    return Recipe(architecture=Architecture(base=Pinned.of(base)), **ON_BASE)


def base_fields(options: argparse.Namespace) -> Mapping[str, Any]:
    """The fields that are set otherwise because the network is built on a base."""
    return {} if base_of(options) is None else ON_BASE


def given_of(options: argparse.Namespace) -> dict[str, Any]:
    """The fields of the recipe that are given as options, except the seed."""
    given = {name: getattr(options, name) for name in _RECIPE}
    if options.split == "clips" and options.clips_per_track is None:
        given["clips_per_track"] = 1  # there, each clip is a track
    return {name: value for name, value in given.items() if value is not None}


def hardware_of(options: argparse.Namespace) -> Hardware:
    """The given precision and devices."""
    return Hardware(options.precision, options.devices)


def _training(commands: Any, name: str, help_: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=help_)
    command.add_argument("data", type=Path, nargs="?", help=_DATA)
    command.add_argument("--resume", type=Path, metavar="FOLDER", help="resume a stopped one")
    _add_data(command)
    _add_recipe(command)
    _add_base(command)
    return command


def _add_data(to: argparse.ArgumentParser) -> None:
    add = to.add_argument
    add("--splits", type=Path, help="folder of train.txt and valid.txt, or a table track,split")
    add("--renditions", action="store_true", help="also train on renditions of the audio files")
    add("--split", choices=WAYS, help="how tracks are split, if not by --splits")
    artists = "table track,artist[,weight]: for weights of tracks, and for --split artists"
    add("--artists", type=Path, help=artists)
    add("--folds", type=_positive, default=5, help="folds of --split artists (%(default)s)")
    add("--fold", type=_positive, default=1, help="the fold that is valid (%(default)s)")
    add("--cache", type=Path, default=Path("data"), help="folder for built datasets (%(default)s)")
    add("--seed", type=int, default=1, help="seed of everything random (%(default)s)")
    _add_front_end(to)


def _add_adaptation(to: argparse.ArgumentParser) -> None:
    add, how = to.add_argument, Adaptation()
    add("--labels", type=Path, required=True, metavar="FILE.csv", help="the teacher's classes")
    add("--other", type=Path, metavar="FOLDER", help="folder of non-music audio, such as speech")
    add("--out", type=Path, required=True, metavar="FILE.keras", help="where to write the base")
    add("--steps", type=_positive, default=how.steps, help="training steps (%(default)s)")
    add("--batch", type=_positive, default=how.batch, help="clips per step (%(default)s)")
    add("--clips", type=_positive, default=CLIPS, help="clips of the audio in all (%(default)s)")
    add("--cache", type=Path, default=Path("data"), help="folder for targets (%(default)s)")
    add("--seed", type=int, default=how.seed, help="seed of everything random (%(default)s)")
    _add_front_end(to)


def _add_front_end(to: argparse.ArgumentParser) -> None:
    add, front_end = to.add_argument, FrontEnd()
    for name in _FRONT_END:
        default = getattr(front_end, name)
        add(f"--{name.replace('_', '-')}", type=_positive, help=f"for audio files ({default})")


def _add_recipe(to: argparse.ArgumentParser) -> None:
    add, default = to.add_argument, Recipe()
    add("--runs", type=Path, default=Path("runs"), help="folder of runs (%(default)s)")
    add("--about", default="", help="description of the data, for the model's card")
    epochs = f"passes over the tracks ({default.epochs}; on a base {ON_BASE['epochs']})"
    add("--epochs", type=_whole, help=epochs)
    clips = f"random clips per track and epoch ({default.clips_per_track})"
    add("--clips-per-track", type=_positive, help=clips)
    add("--batch", type=_positive, help=f"clips per step ({default.batch})")
    add("--learning-rate", type=_rate, help=f"peak learning rate ({default.learning_rate:g})")
    add("--precision", choices=PRECISIONS, default=PRECISIONS[0], help="(%(default)s)")
    add("--devices", choices=DEVICES, default=DEVICES[0], help="GPUs to use (%(default)s)")


def _add_base(to: argparse.ArgumentParser) -> None:
    which = to.add_mutually_exclusive_group()
    help_ = "pre-trained network to build on, made by adapt (the shipped one)"
    which.add_argument("--base", type=Path, metavar="FILE.keras", help=help_)
    which.add_argument("--from-scratch", action="store_true", help="use no pre-trained network")


def _add_teachers(to: argparse.ArgumentParser) -> None:
    add, share = to.add_argument, Recipe().teacher_share
    add("--teachers", type=Path, nargs="+", metavar="RUN", help="finished runs to distil")
    add("--teacher-share", type=_share, help=f"share of the teachers in the targets ({share:g})")


def _add_run(to: argparse.ArgumentParser) -> None:
    add: Any = to.add_argument
    add("run", type=Path, nargs="?", help="folder of a run (the newest one)")
    add("--runs", type=Path, default=Path("runs"), help="folder of runs (%(default)s)")
    add("--cache", type=Path, default=Path("data"), help="folder of datasets (%(default)s)")


def _whole(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return value


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError("must be from 0 to 1")
    return value


def _rate(text: str) -> float:
    value = float(text)
    if not 0.0 < value < math.inf:
        raise argparse.ArgumentTypeError("must be above 0")
    return value
