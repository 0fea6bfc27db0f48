"""An unattended search: run after run in one folder, which is all that a restart needs.

The same command comes to the same folder `search-NAME-DIGEST`:

- `request.json`: what is searched in, on which data;
- `search.json`, `search.csv`, `search.md`: results so far, best first;
- `0001/point.json`: where in the space the first point lies;
- `0001/seed-1/`: an ordinary run; with folds `seed-1-fold-01/` and so on;
- `0001/failed.json`: why a run of this point can't be trained.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from train.data.dataset import Dataset
from train.data.making import Source, prepare
from train.errors import DataError
from train.fitting.recipe import Hardware, Recipe
from train.fitting.runs import Run, start_whole, write_json, write_text
from train.progress import bar
from train.search import points as search_points
from train.search import results as search_results
from train.search.fields import FRONT_END, change
from train.search.points import Tried
from train.search.results import Result, Score
from train.search.space import Coordinates, Space, first_fault
from train.search.worker import Failed, train_apart

_REQUEST, _POINT, _FAILED = "request.json", "point.json", "failed.json"


@dataclass(frozen=True, slots=True)
class Request:
    """What a search is asked for."""

    space: Space
    recipe: Recipe
    """the default one when the search began, which a later version may change"""
    source: Source
    """its plan is by artists where the space has folds"""
    data_sha256: str
    """digest of the source's dataset, so that one search never goes on with other data"""
    about: str
    hardware: Hardware


@dataclass(frozen=True, slots=True)
class _Point:
    folder: Path
    at: Coordinates

    @property
    def failed(self) -> str:
        """Why one of its runs can't be trained; empty where none is known."""
        path = self.folder / _FAILED
        return json.loads(path.read_text(encoding="utf-8"))["reason"] if path.is_file() else ""


def begin(runs: Path, request: Request) -> Path:
    """The folder of a search; made where it is not there yet."""
    text = _REQUESTS.dump_json(request, indent=2).decode() + "\n"
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    folder = runs / f"search-{request.space.name}-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / _REQUEST).is_file():
        write_text(folder / _REQUEST, text)
    return folder


def read(folder: Path) -> Request:
    """The request of a search; raise DataError where the folder is of none."""
    try:
        return _REQUESTS.validate_json((folder / _REQUEST).read_bytes())
    except OSError as error:
        raise DataError(f"{folder} is not a search: {error.strerror}") from error
    except ValidationError as error:
        raise DataError(f"{folder} is of another version: {first_fault(error)}") from error


def search(folder: Path, console: Console) -> list[Result]:
    """Train what is left of a search; its results in the order of their points.

    Raises DataError where it can't go on, or another process is at it.
    """
    with _alone(folder), bar(console) as progress:
        return _Search(folder, read(folder), console, progress).run()


class _Search:
    def __init__(
        self, folder: Path, request: Request, console: Console, progress: Progress
    ) -> None:
        self._folder, self._request = folder, request
        self._console, self._progress = console, progress
        self._terms = request.space.search
        folds = range(1, self._terms.folds + 1) if self._terms.folds else [None]
        self._parts = [(seed, fold) for seed in self._terms.seeds for fold in folds]
        points = search_points.points_of(request.space)
        runs = points and points * len(self._parts)
        self._all = progress.add_task("search", total=runs)
        self._one = progress.add_task("", total=None, visible=False)

    def run(self) -> list[Result]:
        """Go through the points, those that are finished too."""
        if self._data(self._request.source).digest != self._request.data_sha256:
            raise DataError("the data are not what they were when the search began")
        results: list[Result] = []
        tried: list[Tried] = []
        while (point := self._next(tried)) is not None:
            before = len(tried) * len(self._parts)
            for seed, fold in [] if point.failed else self._parts:
                self._train(point, seed, fold)
                self._write([*results, self._result(point)])
                if point.failed:
                    self._console.print(
                        f"[yellow]failed[/yellow] {point.folder.name}: {escape(point.failed)}",
                        highlight=False,
                        soft_wrap=True,
                    )
                    break
                self._progress.advance(self._all)
            result = self._result(point)
            results.append(result)
            found = result.spread(self._terms.by) if not result.failed else None
            tried.append(Tried(point.at, found.mean if found else None))
            self._progress.update(self._all, completed=before + len(self._parts))
        self._write(results)
        return results

    def _next(self, tried: list[Tried]) -> _Point | None:
        folder = self._folder / f"{len(tried) + 1:04d}"
        path = folder / _POINT
        if path.is_file():
            return _Point(folder, json.loads(path.read_text(encoding="utf-8")))
        minutes = self._terms.minutes
        if minutes is not None and self._seconds_spent() >= 60.0 * minutes:
            return None
        at = search_points.propose(self._request.space, self._request.source.plan.seed, tried)
        if at is None:
            return None
        folder.mkdir(exist_ok=True)
        write_json(path, at)
        return _Point(folder, at)

    def _train(self, point: _Point, seed: int, fold: int | None) -> None:
        """Train one run of a point to its end, or note why that can't be."""
        folder = point.folder / _name(seed, fold)
        if folder.is_dir() and Run.open(folder).finished:
            return
        cache = self._request.source.cache
        try:
            if not folder.is_dir():
                self._start(point, folder, seed, fold)
            where = f"{point.folder.name}/{folder.name}"
            self._progress.update(self._one, description=where, visible=True, completed=0)

            def show(done: int, steps: int, note: str) -> None:
                self._progress.update(
                    self._one, completed=done, total=steps, description=f"{where} {note}"
                )

            train_apart(folder, cache, show)
        except Failed as error:
            write_json(point.folder / _FAILED, {"run": folder.name, "reason": str(error)})
        finally:
            self._progress.update(self._one, visible=False)

    def _start(self, point: _Point, folder: Path, seed: int, fold: int | None) -> None:
        source = self._request.source
        try:
            values = self._request.space.settings(point.at)
            made = change(values, self._request.recipe, source.front_end)
            # Else the data's own front end stays, which may be another one than the default.
            if not values.keys().isdisjoint(FRONT_END):
                source = replace(source, front_end=made.front_end)
            if fold is not None:
                source = replace(source, plan=replace(source.plan, fold=fold))
            data = self._data(source)
        except DataError as error:
            raise Failed(str(error)) from error
        recipe, audio = replace(made.recipe, seed=seed), source.audio
        start_whole(folder, recipe, data, self._request.about, self._request.hardware, audio)

    def _data(self, source: Source) -> Dataset:
        def show(done: int, files: int) -> None:
            self._progress.update(
                self._one, completed=done, total=files, description="reading", visible=True
            )

        return prepare(source, show).data

    def _result(self, point: _Point) -> Result:
        runs = [Run.open(path) for path in self._folders(point)]
        return Result(
            point=point.folder.name,
            differs=self._request.space.settings(point.at),
            runs=len(self._parts),
            scores=tuple(Score.of(run) for run in runs if run.finished),
            failed=point.failed,
        )

    def _folders(self, point: _Point) -> Iterator[Path]:
        folders = (point.folder / _name(seed, fold) for seed, fold in self._parts)
        return (folder for folder in folders if folder.is_dir())

    def _seconds_spent(self) -> float:
        """On training, by all runs, the epochs of those that failed too."""
        histories = (
            Run.open(path.parent).metrics["history"]
            for path in self._folder.glob("[0-9]*/seed-*/metrics.json")
        )
        return sum(float(history[-1]["seconds"]) for history in histories if history)

    def _write(self, results: list[Result]) -> None:
        request = self._request
        about = request.about or str(request.source.folder)
        search_results.write(self._folder, request.space, about, results)


def _name(seed: int, fold: int | None) -> str:
    return f"seed-{seed}" if fold is None else f"seed-{seed}-fold-{fold:02d}"


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep a second process from the same search; the system lets go when this one ends."""
    try:
        file = (folder / _REQUEST).open("rb")
    except OSError as error:
        raise DataError(f"{folder} is not a search: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(f"another process is at {folder} already") from None
        yield


_REQUESTS = TypeAdapter(Request)
