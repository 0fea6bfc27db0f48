"""A finished run's recipe once more, on its train and valid tracks together.

The recipe was chosen by what it makes of valid tracks after the train tracks alone. Then those
labels can teach too: the weights get more tracks to learn from, and nothing is left to measure
them on. What is known of them is what was measured of the first run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from train.data.dataset import Dataset
from train.errors import DataError
from train.fitting import distil
from train.fitting.recipe import Recipe
from train.fitting.runs import Run


def joined(data: Dataset) -> Dataset:
    """The dataset with its valid tracks among the train tracks; raise DataError without any."""
    data.of("valid")
    tracks = (
        replace(track, split="train") if track.split == "valid" else track for track in data.tracks
    )
    return data.with_tracks(tracks, f"{data.split_by}, valid tracks trained on too")


def recipe_of(run: Run, data: Dataset, teachers: Sequence[Path] | None) -> Recipe:
    """The recipe of a run, with `teachers` in place of its own: as a rule, refits of them.

    Raises DataError where it had another number of teachers, or these can't teach.
    """
    pinned = run.recipe.teachers if teachers is None else distil.pin(teachers)
    if len(pinned) != len(run.recipe.teachers):
        wants = len(run.recipe.teachers)
        raise DataError(f"{run.folder} had {wants} teachers, so must its refit: not {len(pinned)}")
    distil.teachers(pinned, data)
    return replace(run.recipe, teachers=pinned)
