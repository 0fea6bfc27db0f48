"""What a model was made from besides its data: its teachers, and the networks they build on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.fitting.runs import Run


@dataclass(frozen=True, slots=True)
class Teacher:
    """A finished run that was distilled."""

    name: str
    parameters: int
    track_accuracy: float
    """share of valid tracks that it, or for a refit its first run, gets right"""
    base: str
    """the adapted network it is built on; empty if there is none"""


def teachers(run: Run) -> list[Teacher]:
    """The teachers of a run; raise DataError if one is gone."""
    return [_teacher(Run.load(of.path().parent)) for of in run.recipe.teachers]


def portable(recipe: Any) -> Any:
    """A run's recipe without its machine's paths: files keep folder name, name and sha256."""
    if isinstance(recipe, dict):
        if recipe.keys() == {"file", "sha256"}:
            return {**recipe, "file": "/".join(Path(recipe["file"]).parts[-2:])}
        return {name: portable(value) for name, value in recipe.items()}
    if isinstance(recipe, list):
        return [portable(value) for value in recipe]
    return recipe


def base_of(run: Run) -> str:
    """The file name of the adapted network a run is built on; empty if there is none."""
    base = run.recipe.architecture.base
    return Path(base.file).name if base else ""


def _teacher(run: Run) -> Teacher:
    return Teacher(
        name=run.folder.name,
        parameters=int(run.metrics["parameters"]),
        track_accuracy=float(run.measured.metrics["valid"]["track_accuracy"]),
        base=base_of(run),
    )
