"""The commands of `python -m train`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.text import Text

from serve.text import one_line
from train.adapting.adaptation import Adaptation
from train.data import artists, splits
from train.data.dataset import ABOUT, NO_SPLIT, Dataset
from train.data.plan import Prepared
from train.data.source import Source, make, prepare
from train.data.warnings import unmatched, warnings_of
from train.errors import DataError
from train.fitting.recipe import Recipe
from train.model.pinned import Pinned
from train.options import (
    base_fields,
    default_recipe,
    front_end_of,
    given_of,
    hardware_of,
    recipe_of,
    source_of,
)
from train.progress import Advance, bar

# TensorFlow takes seconds to load, so it is imported only when needed.
if TYPE_CHECKING:
    from train.fitting.runs import Run
    from train.search.search import Request


# Every so many sounds of the non-music family are used in adapting.
_EVERY_SOUND = 8
# Clips of music to one clip of other audio.
_OTHER_SHARE = 4
# At most so many skipped files are listed for one reason.
_NAMED = 20


def data(options: argparse.Namespace, console: Console) -> None:
    """Build the dataset, and print its contents."""
    from train import tables

    if options.split is None:
        with _reading(console) as advance:
            made = make(source_of(options), advance)
        _print_notes(made, console)
    else:
        made = _prepare(options, console).data
    console.print(tables.contents(made))
    if made.split_by == NO_SPLIT:
        console.print("no track is in a split yet: training takes --split", highlight=False)
    console.print(f"[green]done[/green]: {made.folder}", highlight=False)


def fit(options: argparse.Namespace, console: Console) -> None:
    """Train a run, new or resumed, and score it."""
    if options.resume is not None:
        _need_no_data(options)
        from train.fitting.runs import Run

        run = Run.open(options.resume)
        if run.finished:
            raise DataError(f"{run.folder} is finished: there is nothing to resume")
        dataset = run.dataset(options.cache)
    elif options.refit is not None:
        dataset, run = _refit(options)
    else:
        dataset, run = _new_run(options, console)
    from train import tables
    from train.fitting.training import train_with_bar

    again = f"make train RESUME={run.folder}"
    console.print(f"run {run.folder}; if it is stopped: {again}", highlight=False, soft_wrap=True)
    done = train_with_bar(run, dataset, console)
    console.print(tables.scores(done))
    seconds = done.metrics["seconds"]
    console.print(f"[green]done[/green] in {seconds:.0f} s: {done.folder}", highlight=False)


def folds(options: argparse.Namespace, console: Console) -> None:
    """Train a run for each artist-grouped fold; print mean and spread of their scores."""
    from train import tables
    from train.evaluation import crossvalidation
    from train.fitting import runs

    if options.resume is not None:
        _need_no_data(options)
        folder = options.resume
    else:
        _need_data(options)
        options.split = "artists"
        prepared = [_fold(options, number, console) for number in range(1, options.folds + 1)]
        recipe, hardware = recipe_of(options), hardware_of(options)
        _check_base(recipe, prepared[0])
        folder = runs.new_folder(options.runs, "-folds")
        audio = source_of(options).audio
        crossvalidation.start(folder, recipe, prepared, options.about, hardware, audio)
    again = f"make folds RESUME={folder}"
    console.print(f"folds {folder}; if stopped: {again}", highlight=False, soft_wrap=True)
    summary = crossvalidation.train(folder, options.cache, console)
    console.print(tables.folds(summary))
    console.print(f"[green]done[/green]: {folder}", highlight=False)


def search(options: argparse.Namespace, console: Console) -> None:
    """Train runs over a space of recipes; an existing search is resumed."""
    from train.search import search as searches

    if options.resume is not None:
        _need_no_data(options)
        folder: Path = options.resume
    else:
        folder = searches.begin(options.runs, _search_request(options, console))
    again = f"make search RESUME={folder}"
    console.print(f"search {folder}; if stopped: {again}", highlight=False, soft_wrap=True)
    console.print(searches.search(folder, console))
    console.print(f"[green]done[/green]: {folder}/search.md", highlight=False, soft_wrap=True)


def adapt(options: argparse.Namespace, console: Console) -> None:
    """Adapt a teacher to our front end, and print how close its outputs are."""
    from train.adapting import adapt as adapting
    from train.adapting import unlabelled
    from train.data import sounds
    from train.model import audioset, audioset_classes

    if options.out.suffix != ".keras":
        raise DataError(f"{options.out}: the file made must end in .keras")
    teacher = Pinned.of(options.teacher)
    model = audioset.load(options.teacher)
    columns = audioset_classes.columns(options.labels)
    front_end = front_end_of(options, audioset.AT_22_050_HZ) or audioset.AT_22_050_HZ
    audio = unlabelled.Audio(options.audio, options.clips, options.seed)
    with _progress("listening", console) as advance:
        targets = unlabelled.targets(teacher, audio, front_end, options.cache, advance)
    console.print(f"{len(targets.mel_db)} clips of {options.audio}", highlight=False)
    family = sounds.Sounds(front_end, options.seed)
    other = [np.stack([family[n] for n in range(0, len(family), _EVERY_SOUND)])]
    if options.other:
        spoken = unlabelled.Audio(options.other, options.clips // _OTHER_SHARE, options.seed)
        with _progress("listening to other sounds", console) as advance:
            other.append(unlabelled.mel_power(spoken, front_end, advance))
    how = Adaptation(options.steps, options.batch, seed=options.seed)
    with _progress("adapting", console) as advance:
        done = adapting.adapt(
            model,
            targets,
            np.concatenate(other),
            columns,
            how,
            lambda step: advance(step, how.steps),
        )
    about = {
        "front_end": front_end.to_dict(),
        "audio": {"folder": str(options.audio.absolute()), "clips": len(targets.mel_db)},
    }
    adapting.save(done, options.out, teacher, how, about)
    before, after = done.before, done.after
    console.print(
        f"unexplained on held-out clips: embedding {before.embedding:.1%} to {after.embedding:.1%},"
        f" logits {before.logits:.1%} to {after.logits:.1%}; recognised: "
        f"{done.recognised[0]:.1%} of music, {done.recognised[1]:.1%} of other sounds",
        highlight=False,
        soft_wrap=True,
    )
    console.print(f"[green]done[/green] in {done.seconds:.0f} s: {options.out}", highlight=False)


def evaluate(options: argparse.Namespace, console: Console) -> None:
    """Score a run: tables or JSON on standard output, and JSON with every track in its folder."""
    from train import tables
    from train.evaluation import evaluation

    run = _run(options)
    if options.data is None:
        if options.splits is not None:
            raise DataError("--splits goes with --data: a run's own data are split already")
        dataset = run.dataset(options.cache)
    else:
        dataset = _other_data(run, options, console)
    result = evaluation.evaluate_run(run, dataset, options.part, console)
    path = evaluation.save(result, run.folder)
    output = Console()
    if options.json:
        output.out(json.dumps(result.to_dict(), indent=2))
    else:
        output.print(tables.evaluation(result))
        output.print(tables.confusion(result.scores, run.genres))
    console.print(f"[green]wrote[/green] {path}", highlight=False)


def report(options: argparse.Namespace, console: Console) -> None:
    """Write a page about a run; if its audio is known, with the effect of changing it."""
    from train.evaluation import evaluation, robustness
    from train.evaluation.report import page
    from train.fitting.fit import predictor

    run = _run(options)
    result = evaluation.evaluate_run(run, run.dataset(options.cache), "valid", console)
    changed: list[robustness.Changed] = []
    if audio := options.audio or run.audio:
        with _progress("changing audio", console) as advance:
            changed = robustness.run_robustness(run, predictor(run.model()), audio, advance)
    out: Path = options.out or run.folder / "report.html"
    out.write_text(page(run, result, changed), encoding="utf-8")
    console.print(f"[green]wrote[/green] {out}", highlight=False)


def _new_run(options: argparse.Namespace, console: Console) -> tuple[Dataset, Run]:
    _need_data(options)
    dataset = _prepare(options, console).data
    for part in ("train", "valid"):
        dataset.of(part)
    from train.fitting import runs

    recipe, hardware = _with_teachers(recipe_of(options), options, dataset), hardware_of(options)
    _check_base(recipe, dataset)
    folder = runs.new_folder(options.runs)
    audio = source_of(options).audio
    return dataset, runs.start(folder, recipe, dataset, options.about, hardware, audio)


def _refit(options: argparse.Namespace) -> tuple[Dataset, Run]:
    if options.data is not None:
        raise DataError("a refit uses its run's data: give only --refit")
    from train.fitting import refit, runs

    known = runs.Run.load(options.refit)
    dataset = refit.with_valid_trained_on(known.dataset(options.cache))
    recipe = refit.recipe_of(known, dataset, options.teachers)
    folder, about = runs.new_folder(options.runs), known.config["data"]["about"]
    hardware, of = hardware_of(options), Pinned.of(known.checkpoint)
    return dataset, runs.start(folder, recipe, dataset, about, hardware, known.audio, of)


def _with_teachers(recipe: Recipe, options: argparse.Namespace, dataset: Dataset) -> Recipe:
    """The recipe with the given teachers."""
    if options.teachers is None:
        if options.teacher_share is not None:
            raise DataError("--teacher-share needs --teachers")
        return recipe
    from train.fitting import distil

    pinned = distil.pin(options.teachers)
    distil.teachers(pinned, dataset)  # fail before the run's folder is made
    share = recipe.teacher_share if options.teacher_share is None else options.teacher_share
    return replace(recipe, teachers=pinned, teacher_share=share)


def _check_base(recipe: Recipe, dataset: Dataset) -> None:
    if recipe.architecture.base is None and recipe.epochs == 0:
        raise DataError("without a base, a run needs at least one epoch")
    if recipe.architecture.base is not None:
        from train.model import base

        base.load(recipe.architecture.base, dataset.front_end)


def _search_request(options: argparse.Namespace, console: Console) -> Request:
    from train.search.search import Request
    from train.search.space import Space

    _need_data(options)
    if options.space is None:
        raise DataError("there is nothing to search: give --space FILE.toml")
    space = Space.read(options.space).with_base(given_of(options), base_fields(options))
    if space.search.folds is not None:
        options.split, options.folds, options.fold = "artists", space.search.folds, 1
    # The search may be resumed from another working folder.
    for name, value in vars(options).items():
        if isinstance(value, Path) and name != "runs":
            setattr(options, name, value.absolute())
    digest = _prepare(options, console).data.digest
    source, hardware = source_of(options), hardware_of(options)
    return Request(space, default_recipe(options), source, digest, options.about, hardware)


def _need_data(options: argparse.Namespace) -> None:
    if options.data is None:
        raise DataError("there is nothing to train on: give a folder of data")


def _need_no_data(options: argparse.Namespace) -> None:
    if options.data is not None:
        raise DataError("what is resumed has its data already: give only --resume")


def _fold(options: argparse.Namespace, number: int, console: Console) -> Dataset:
    options.fold = number
    return _prepare(options, console, quiet=number > 1).data


def _prepare(options: argparse.Namespace, console: Console, quiet: bool = False) -> Prepared:
    source = source_of(options)
    with _reading(console) as advance:
        prepared = prepare(source, advance)
    if not quiet:
        _print_notes(prepared.data, console, prepared.warning, *_unmatched(prepared.data, source))
    return prepared


def _reading(console: Console) -> AbstractContextManager[Advance]:
    return _progress("reading", console)


@contextmanager
def _progress(on: str, console: Console) -> Iterator[Advance]:
    with bar(console) as progress:
        task = progress.add_task(on, total=None)
        yield lambda done, all_: progress.update(task, completed=done, total=all_)


def _print_notes(dataset: Dataset, console: Console, *warnings: str) -> None:
    """List skipped files, and print warnings."""
    for reason, entries in _by_reason(dataset).items():
        for name in entries[:_NAMED]:
            _print_note(console, "skipped", f"{name}: {reason}")
        if (more := len(entries) - _NAMED) > 0:
            _print_note(console, "skipped", f"{more} more: {reason}; all are in {ABOUT}")
    for text in (*filter(None, warnings), *warnings_of(dataset)):
        _print_note(console, "warning:", text)


def _unmatched(dataset: Dataset, source: Source) -> Iterator[str]:
    if source.splits:
        yield from unmatched(dataset, source.splits, splits.read(source.splits))
    if source.plan.artists:
        yield from unmatched(dataset, source.plan.artists, artists.read(source.plan.artists))


def _by_reason(dataset: Dataset) -> dict[str, list[str]]:
    of_reason: dict[str, list[str]] = {}
    for entry in dataset.skipped:
        of_reason.setdefault(entry.reason, []).append(entry.name)
    return of_reason


def _print_note(console: Console, word: str, text: str) -> None:
    line = Text.assemble((word, "yellow"), f" {one_line(text)}")
    console.print(line, highlight=False, soft_wrap=True)


def _run(options: argparse.Namespace) -> Run:
    from train.fitting import runs

    return runs.Run.load(options.run) if options.run else runs.newest(options.runs)


def _other_data(run: Run, options: argparse.Namespace, console: Console) -> Dataset:
    source = Source(options.data, options.cache, run.front_end, options.splits)
    with _reading(console) as advance:
        return make(source, advance)
