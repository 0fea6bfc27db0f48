"""An unattended search: run after run, in one folder that holds all a restart needs.

The same command always uses the same folder, `search-NAME-DIGEST`:

- `request.json`: the space, the data and the default recipe;
- `journal.log`: Optuna's journal, with each point's coordinates and value;
- `search.json`, `search.csv`, `search.md`: results so far, best first;
- `0001/seed-1/`: an ordinary run of the first point; with folds, `seed-1-fold-01/` and so on;
- `0001/failed.json`: why a run of this point can't be trained.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from optuna import Study
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from train.data.dataset import Dataset
from train.data.source import Source, prepare
from train.errors import DataError
from train.fitting.recipe import Hardware, Recipe
from train.fitting.runs import Run, start_whole, write_json, write_text
from train.progress import bar
from train.search.points import next_point, points_of, study_of
from train.search.results import Result, ranked, score, table, write
from train.search.space import FRONT_END, Space, configure, first_fault
from train.search.worker import Failed, train_apart

_REQUEST, _JOURNAL, _FAILED = "request.json", "journal.log", "failed.json"


@dataclass(frozen=True, slots=True)
class Request:
    """Everything that a search is started with."""

    space: Space
    recipe: Recipe
    """the default one when the search began: a later version may have another"""
    source: Source
    """split by artists if the space has folds"""
    data_sha256: str
    """digest of the source's dataset: a search never goes on with other data"""
    about: str
    hardware: Hardware


_REQUESTS = TypeAdapter(Request)


def begin(runs: Path, request: Request) -> Path:
    """The folder of a search; made if it does not exist yet."""
    text = _REQUESTS.dump_json(request, indent=2).decode() + "\n"
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    folder = runs / f"search-{request.space.name}-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / _REQUEST).is_file():
        write_text(folder / _REQUEST, text)
    return folder


def read(folder: Path) -> Request:
    """The request of a search; raise DataError if the folder is not one."""
    try:
        return _REQUESTS.validate_json((folder / _REQUEST).read_bytes())
    except OSError as error:
        raise DataError(f"{folder} is not a search: {error.strerror}") from error
    except ValidationError as error:
        raise DataError(f"{folder} is of another version: {first_fault(error)}") from error


def search(folder: Path, console: Console) -> Table:
    """Train what is left of a search; its results, best first.

    Raises DataError if it can't go on, or another process is running it.
    """
    request = read(folder)
    with (folder / _REQUEST).open("rb") as file, bar(console) as progress:
        try:  # the system unlocks it when this process ends
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(f"another process is running {folder} already") from None
        return table(request.space, _Search(folder, request, progress).run())


class _Search:
    def __init__(self, folder: Path, request: Request, progress: Progress) -> None:
        self._folder, self._request, self._progress = folder, request, progress
        self._space, terms = request.space, request.space.search
        folds = range(1, terms.folds + 1) if terms.folds else [None]
        self._parts = [(seed, fold) for seed in terms.seeds for fold in folds]
        points = points_of(self._space)
        self._all = progress.add_task("search", total=points and points * len(self._parts))
        self._one = progress.add_task("", total=None, visible=False)

    def run(self) -> list[dict[str, Any]]:
        """Go through the points; what is finished already is only read. Its rows, best first."""
        if self._data(self._request.source).digest != self._request.data_sha256:
            raise DataError("the data are not what they were when the search began")
        study = study_of(self._space, _storage(self._folder))
        results: list[Result] = []
        for trial in self._trials(study):
            results.append(self._result(trial))
            for seed, fold in self._parts:
                if not results[-1].failed:
                    self._train(trial, seed, fold)
                    results[-1] = self._result(trial)
                    self._write(results)
                self._progress.advance(self._all)
            if not trial.state.is_finished():
                value = results[-1].value(self._space.search.by)
                study.tell(trial.number, value, TrialState.FAIL if value is None else None)
        return self._write(results)

    def _trials(self, study: Study) -> Iterator[FrozenTrial]:
        yield from study.get_trials(deepcopy=False)
        seed, minutes = self._request.source.plan.seed, self._space.search.minutes
        while minutes is None or self._seconds_spent() < 60.0 * minutes:
            if (trial := next_point(self._space, seed, study)) is None:
                return
            yield trial

    def _train(self, trial: FrozenTrial, seed: int, fold: int | None) -> None:
        """Train one run of a point to its end, or note why it can't be trained."""
        folder = self._point(trial) / _name(seed, fold)
        where = f"{folder.parent.name}/{folder.name}"
        try:
            if not folder.is_dir():
                self._start(folder, trial, seed, fold)
            if not Run.open(folder).finished:
                train_apart(folder, self._request.source.cache, partial(self._show, where))
        except Failed as error:
            folder.parent.mkdir(exist_ok=True)
            write_json(folder.parent / _FAILED, {"run": folder.name, "reason": str(error)})
            text = f"[yellow]failed[/yellow] {folder.parent.name}: {escape(str(error))}"
            self._progress.console.print(text, highlight=False, soft_wrap=True)
        finally:
            self._progress.update(self._one, visible=False)

    def _start(self, folder: Path, trial: FrozenTrial, seed: int, fold: int | None) -> None:
        asked, source = self._request, self._request.source
        try:
            values = self._space.settings(trial.params)
            recipe, front_end = configure(values, asked.recipe, source.front_end)
            if values.keys() & set(FRONT_END):  # else a finished dataset keeps its own
                source = replace(source, front_end=front_end)
            source = replace(source, plan=replace(source.plan, fold=fold or source.plan.fold))
            data = self._data(source)
        except DataError as error:
            raise Failed(str(error)) from error
        recipe = replace(recipe, seed=seed)
        start_whole(folder, recipe, data, asked.about, asked.hardware, source.audio)

    def _data(self, source: Source) -> Dataset:
        return prepare(source, partial(self._show, "reading")).data

    def _show(self, where: str, done: int, total: int, note: str = "") -> None:
        text = f"{where} {note}"
        self._progress.update(
            self._one, completed=done, total=total, description=text, visible=True
        )

    def _point(self, trial: FrozenTrial) -> Path:
        return self._folder / f"{trial.number + 1:04d}"

    def _result(self, trial: FrozenTrial) -> Result:
        folder = self._point(trial)
        runs = [Run.open(run) for part in self._parts if (run := folder / _name(*part)).is_dir()]
        failed = folder / _FAILED
        return Result(
            point=folder.name,
            differs=self._space.settings(trial.params),
            runs=len(self._parts),
            scores=[score(run) for run in runs if run.finished],
            failed=json.loads(failed.read_bytes())["reason"] if failed.is_file() else "",
        )

    def _seconds_spent(self) -> float:
        """On training, by all runs, including the epochs of those that failed."""
        runs = map(Run.open, self._folder.glob("[0-9]*/seed-*"))
        histories = (run.metrics["history"] for run in runs)
        return sum(float(history[-1]["seconds"]) for history in histories if history)

    def _write(self, results: list[Result]) -> list[dict[str, Any]]:
        rows = ranked(self._space, results)
        about = self._request.about or str(self._request.source.folder)
        write(self._folder, self._space, about, rows)
        return rows


def _name(seed: int, fold: int | None) -> str:
    return f"seed-{seed}" if fold is None else f"seed-{seed}-fold-{fold:02d}"


def _storage(folder: Path) -> JournalStorage:
    path = folder / _JOURNAL
    if path.is_file():  # an interrupted write leaves half a line, which Optuna would append to
        os.truncate(path, path.read_bytes().rfind(b"\n") + 1)
    elif any(folder.glob("*/point.json")):
        raise DataError(f"{folder} is of an earlier version: search anew, with other --runs")
    try:
        return JournalStorage(JournalFileBackend(str(path)))
    except ValueError as error:
        raise DataError(f"{path} can't be read: {error}") from error
