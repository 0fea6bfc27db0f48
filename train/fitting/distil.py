"""Distillation: targets that partly come from finished runs, for the same clips."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from train.data.dataset import Dataset, Float32
from train.data.tracks import read_tracks
from train.errors import DataError
from train.fitting.batches import is_music
from train.fitting.recipe import Recipe
from train.fitting.runs import Run
from train.model.pinned import Pinned
from train.scoring.scores import Predict

# Added to probabilities, so that a single teacher's zero does not rule out a genre.
_LEAST = 1e-6


class Distillation:
    """Mixes the teachers' outputs into the targets of a batch.

    Without teachers, targets stay as they are.
    """

    def __init__(self, recipe: Recipe, teachers: Sequence[Predict]) -> None:
        self._share = recipe.teacher_share
        self._smoothing = recipe.label_smoothing
        self._teachers = teachers

    def targets(self, mel: Float32, labels: Float32) -> Float32:
        """Targets (n, genres) of clips after augmentation.

        The labels' share is smoothed here, the teachers' is not. Non-music keeps its uniform
        targets, whatever the teachers say.
        """
        if not self._teachers:
            return labels
        smooth = (1.0 - self._smoothing) * labels + self._smoothing / labels.shape[1]
        mixed: Float32 = (1.0 - self._share) * smooth + self._share * self._probabilities(mel)
        other = ~is_music(labels)
        mixed[other] = labels[other]
        return mixed

    def _probabilities(self, mel: Float32) -> Float32:
        """The geometric mean of the teachers' outputs, normalised to sum to 1."""
        logs = [np.log(teacher(mel).probabilities + _LEAST) for teacher in self._teachers]
        mean = np.exp(np.mean(logs, axis=0))
        normalised: Float32 = mean / mean.sum(axis=1, keepdims=True)
        return normalised


def pin(folders: Iterable[Path]) -> tuple[Pinned, ...]:
    """The checkpoints of finished runs; raise DataError if a folder is not one."""
    return tuple(Pinned.of(Run.load(folder).checkpoint) for folder in folders)


def teachers(pinned: Iterable[Pinned], data: Dataset) -> list[Run]:
    """The runs of these checkpoints; raise DataError if one can't teach on these data.

    It must be unchanged, have the same front end and genres, and neither it nor its own teachers
    may have been trained on tracks that are valid here: that would leak into the validation.
    """
    return [_teacher(of, data) for of in pinned]


def _teacher(pinned: Pinned, data: Dataset) -> Run:
    run = Run.load(pinned.path().parent)
    if run.front_end != data.front_end:
        raise DataError(f"{run.folder} can't teach: it has another front end")
    if run.genres != data.genres:
        raise DataError(f"{run.folder} can't teach: its genres are {', '.join(run.genres)}")
    leaked = _trained_on(run) & {track.track for track in data.tracks if track.split == "valid"}
    if leaked:
        raise DataError(
            f"{run.folder} can't teach: {len(leaked)} of the valid tracks were in its training, "
            f"such as {min(leaked)}"
        )
    return run


def _trained_on(run: Run) -> set[str]:
    """The tracks that it, or one of its own teachers, was trained on."""
    if not run.tracks.is_file():
        raise DataError(f"{run.folder} can't teach: nothing says what it was trained on")
    heard = {track.track for track in read_tracks(run.tracks) if track.split == "train"}
    return heard.union(*(_trained_on(Run.load(of.path().parent)) for of in run.recipe.teachers))
