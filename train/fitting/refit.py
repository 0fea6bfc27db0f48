"""Refits a finished run: its recipe again, on its train and valid tracks together.

The recipe was chosen by its scores on the valid tracks. After that they can be trained on as well:
the refit has more tracks to learn from, and none left to measure it on, so the first run's scores
stand for it.
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


def with_valid_trained_on(data: Dataset) -> Dataset:
    """The dataset with its valid tracks moved to train; raise DataError if there are none."""
    data.of("valid")
    tracks = (
        replace(track, split="train") if track.split == "valid" else track for track in data.tracks
    )
    return data.with_tracks(tracks, f"{data.split_by}, valid tracks trained on too")


def recipe_of(run: Run, data: Dataset, teachers: Sequence[Path] | None) -> Recipe:
    """The recipe of a run, with `teachers` in place of its own: usually refits of them.

    Raises DataError if it had another number of teachers, or these can't teach.
    """
    pinned = run.recipe.teachers if teachers is None else distil.pin(teachers)
    if len(pinned) != len(run.recipe.teachers):
        wants = len(run.recipe.teachers)
        raise DataError(f"{run.folder} had {wants} teachers, so must its refit: not {len(pinned)}")
    distil.teachers(pinned, data)
    return replace(run.recipe, teachers=pinned)
