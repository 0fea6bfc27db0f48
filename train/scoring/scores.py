"""Accuracy per clip and per track."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from serve.inference.outputs import Float64, Outputs, track_probabilities
from train.data.dataset import Dataset, Float32, power
from train.data.tracks import Track

Predict = Callable[[Float32], Outputs]
"""Maps mel power (clips, frames, mel bands) to a model's outputs for each clip."""

# Bounds the clips in memory at once.
_CLIPS_AT_A_TIME = 512


@dataclass(frozen=True, slots=True)
class Scores:
    """Accuracies of a set of tracks, from 0 to 1."""

    tracks: int
    clips: int
    track_accuracy: float
    """share of tracks whose most probable genre is right"""
    clip_accuracy: float
    """share of clips"""
    track_loss: float
    """mean of -ln of the probability of a track's genre"""
    recall: dict[str, float]
    """share of right tracks in each genre that occurs"""
    confusion: list[list[int]]
    """tracks by genre (row) and answer (column)"""

    def to_dict(self) -> dict[str, Any]:
        """As a dictionary of plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class TrackOutputs:
    """A model's outputs for one track."""

    track: Track
    label: int
    """the column of its genre"""
    clips: Outputs
    """of its consecutive clips"""

    @property
    def probabilities(self) -> Float64:
        """The track's probabilities (genres,)."""
        return track_probabilities(self.clips)


def score(answered: Iterable[tuple[int, Outputs]], genres: tuple[str, ...]) -> Scores:
    """Scores of tracks, each given as a label and a model's outputs for its clips."""
    confusion = np.zeros((len(genres), len(genres)), int)
    count = right_clips = 0
    losses = []
    for label, clips in answered:
        probabilities = track_probabilities(clips)
        confusion[label, int(probabilities.argmax())] += 1
        count += len(clips)
        right_clips += int((clips.probabilities.argmax(axis=1) == label).sum())
        losses.append(-float(np.log(max(float(probabilities[label]), 1e-12))))
    if not losses:
        raise ValueError("there is no track to score")
    of_genre = confusion.sum(axis=1)
    return Scores(
        tracks=len(losses),
        clips=count,
        track_accuracy=float(np.trace(confusion)) / len(losses),
        clip_accuracy=right_clips / count,
        track_loss=float(np.mean(losses)),
        recall={
            genre: float(confusion[i, i] / of_genre[i])
            for i, genre in enumerate(genres)
            if of_genre[i]
        },
        confusion=confusion.tolist(),
    )


def evaluate(predict: Predict, data: Dataset, tracks: Iterable[Track]) -> Scores:
    """Scores of a dataset's tracks, each cut into consecutive clips."""
    found = answers(predict, data, tracks)
    return score(((answer.label, answer.clips) for answer in found), data.genres)


def answers(predict: Predict, data: Dataset, tracks: Iterable[Track]) -> Iterator[TrackOutputs]:
    """The model's outputs for each of a dataset's tracks, cut into consecutive clips."""
    for part in _parts(data, tracks):
        clips = [data.clips(track) for track in part]
        outputs = predict(power(np.concatenate(clips)))
        first = 0
        for track, of in zip(part, clips, strict=True):
            yield TrackOutputs(track, data.label(track), outputs.rows(first, first + len(of)))
            first += len(of)


def _parts(data: Dataset, tracks: Iterable[Track]) -> Iterator[list[Track]]:
    part: list[Track] = []
    clips = 0
    for track in tracks:
        part.append(track)
        clips += track.frames // data.front_end.frames
        if clips >= _CLIPS_AT_A_TIME:
            yield part
            part, clips = [], 0
    if part:
        yield part
