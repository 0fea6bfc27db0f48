"""Cross-validation: a run for each fold, and the mean and spread of their scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from train.data.dataset import Dataset
from train.errors import DataError
from train.fitting import runs
from train.fitting.recipe import Hardware, Recipe
from train.fitting.runs import Run, write_csv, write_json
from train.fitting.training import train_with_bar


@dataclass(frozen=True, slots=True)
class Fold:
    """One fold's scores on its valid part."""

    name: str
    tracks: int
    track_accuracy: float
    clip_accuracy: float


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and sample standard deviation (n - 1)."""

    mean: float
    deviation: float

    def __str__(self) -> str:
        """In percent."""
        return f"{self.mean:.1%} ± {self.deviation:.1%}"


@dataclass(frozen=True, slots=True)
class Summary:
    """All folds' scores."""

    folds: tuple[Fold, ...]
    track_accuracy: Spread
    clip_accuracy: Spread

    def to_dict(self) -> dict[str, Any]:
        """As a dictionary of plain values."""
        return asdict(self)


def start(
    folder: Path,
    recipe: Recipe,
    folds: list[Dataset],
    about: str,
    hardware: Hardware,
    audio: Path | None = None,
) -> None:
    """Make the folders of all folds' runs first, so that an interruption loses none."""
    for number, data in enumerate(folds, 1):
        runs.start_whole(folder / f"fold-{number:02d}", recipe, data, about, hardware, audio)


def train(folder: Path, cache: Path, console: Console) -> Summary:
    """Train the unfinished folds; write scores as `folds.json` and `folds.csv`."""
    folders = sorted(folder.glob("fold-*"))
    if not folders:
        raise DataError(f"{folder} holds no folds")
    finished = []
    for place in folders:
        run = Run.open(place)
        if not run.finished:
            data = run.dataset(cache)
            console.print(f"{place.name} of {len(folders)}", highlight=False)
            run = train_with_bar(run, data, console)
        finished.append(run)
    summary = summarise(finished)
    write_json(folder / "folds.json", summary.to_dict())
    rows = [{"fold": fold.name, **asdict(fold)} for fold in summary.folds]
    write_csv(folder / "folds.csv", ["fold", "tracks", "track_accuracy", "clip_accuracy"], rows)
    return summary


def summarise(finished: list[Run]) -> Summary:
    """The scores of finished runs."""
    folds = []
    for run in finished:
        of = run.metrics["valid"]
        scores = of["tracks"], of["track_accuracy"], of["clip_accuracy"]
        folds.append(Fold(run.folder.name, *scores))
    return Summary(
        folds=tuple(folds),
        track_accuracy=spread([fold.track_accuracy for fold in folds]),
        clip_accuracy=spread([fold.clip_accuracy for fold in folds]),
    )


def spread(values: Sequence[float]) -> Spread:
    """Mean and deviation of at least one value; the deviation of one value is 0."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return Spread(float(np.mean(values)), deviation)
