"""Measures other than accuracy: per genre, calibration, length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serve.inference.outputs import track_probabilities
from train.scoring.scores import TrackOutputs

_BINS = 10
_LENGTHS = (1, 2, 3, 4, 6, 8, 11, 15, 21, 30, 43, 64, 128, 214, 428)


@dataclass(frozen=True, slots=True)
class GenreScore:
    """Precision and recall of one genre; None where undefined."""

    genre: str
    tracks: int
    precision: float | None
    """share of the answers of this genre that are right"""
    recall: float | None
    """share of the tracks of this genre that get this answer"""


@dataclass(frozen=True, slots=True)
class Reliability:
    """Confidence against accuracy, in bins of equal width (Guo et al. 2017)."""

    confidence: tuple[float, ...]
    """mean of the bins that are not empty"""
    accuracy: tuple[float, ...]
    count: tuple[int, ...]
    ece: float
    """expected calibration error: mean of |accuracy - confidence| over all answers"""


@dataclass(frozen=True, slots=True)
class LengthScore:
    """Accuracy with only so many consecutive clips of each track."""

    clips: int
    accuracy: float
    tracks: int
    """tracks that are long enough"""


def per_genre(confusion: Sequence[Sequence[int]], genres: Sequence[str]) -> list[GenreScore]:
    """Precision and recall from tracks by genre (row) and answer (column)."""
    counts = np.array(confusion)
    right, tracks, answered = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    return [
        GenreScore(
            genre=genre,
            tracks=int(tracks[i]),
            precision=float(right[i] / answered[i]) if answered[i] else None,
            recall=float(right[i] / tracks[i]) if tracks[i] else None,
        )
        for i, genre in enumerate(genres)
    ]


def reliability(
    probabilities: NDArray[np.floating[Any]], labels: NDArray[np.int_], bins: int = _BINS
) -> Reliability:
    """The reliability of answers (n, genres) against labels (n,)."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = (probabilities.argmax(axis=1) == labels).astype(np.float64)
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    found = [place == number for number in range(bins) if (place == number).any()]
    means = tuple(float(confidence[of].mean()) for of in found)
    shares = tuple(float(right[of].mean()) for of in found)
    counts = tuple(int(of.sum()) for of in found)
    gaps = [n * abs(a - c) for n, a, c in zip(counts, shares, means, strict=True)]
    return Reliability(means, shares, counts, sum(gaps) / len(labels))


def by_length(answers: Sequence[TrackOutputs]) -> list[LengthScore]:
    """Accuracy for each number of clips that most tracks have, over all their windows."""
    longest = int(np.median([len(answer.clips) for answer in answers]))
    lengths = sorted({*(n for n in _LENGTHS if n < longest), longest})
    scores = []
    for clips in lengths:
        shares = [_share(a, clips) for a in answers if len(a.clips) >= clips]
        scores.append(LengthScore(clips, float(np.mean(shares)), len(shares)))
    return scores


def _share(answer: TrackOutputs, clips: int) -> float:
    windows = range(len(answer.clips) - clips + 1)
    said = [track_probabilities(answer.clips.rows(first, first + clips)) for first in windows]
    return float((np.argmax(said, axis=1) == answer.label).mean())
