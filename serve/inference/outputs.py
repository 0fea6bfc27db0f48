"""The model's outputs for clips, and how they become a track's: in serving and training alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

#: The outputs' names in the model file.
PROBABILITIES, MUSIC, TAGS = "probabilities", "music", "tags"
#: Below this probability a clip, or a track, counts as something else than music.
IS_MUSIC = 0.5


# A floor, so that no single clip rules out a genre for the whole track.
_LEAST = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """The model's outputs for some clips."""

    probabilities: Float32
    """of the genres (clips, genres); each row sums to 1"""
    music: Float32
    """probability that the clip is music (clips,), 0 to 1"""
    tags: Float32
    """probability of each tag and sound (clips, tags + sounds); no columns if it knows none"""

    def __len__(self) -> int:
        return len(self.probabilities)

    @classmethod
    def of(cls, named: Mapping[str, Float32]) -> Self:
        """From arrays by the names of a model's outputs, of which tags may be absent."""
        probabilities, music = named[PROBABILITIES], named[MUSIC]
        return cls(probabilities, music, named.get(TAGS, np.empty((len(music), 0), np.float32)))

    def rows(self, first: int, end: int) -> Outputs:
        """The outputs of the clips from `first` up to `end`; views, not copies."""
        return Outputs(self.probabilities[first:end], self.music[first:end], self.tags[first:end])

    @classmethod
    def joined(cls, parts: Sequence[Outputs]) -> Self:
        """The outputs of several sequences of clips, concatenated."""
        return cls(
            np.concatenate([part.probabilities for part in parts]),
            np.concatenate([part.music for part in parts]),
            np.concatenate([part.tags for part in parts]),
        )


def track_probabilities(clips: Outputs, sharpness: float = 1.0) -> Float64:
    """A track's probabilities of the genres (genres,), from those of its clips.

    They are the geometric mean by `clip_weights`, to the power `sharpness`, made to sum to 1: a
    track of many clips is surer than each of them, by how much is the model's to say. Which genre
    is first does not hang on it.
    """
    logs = np.log(np.maximum(clips.probabilities, _LEAST))
    mean = sharpness * weighted_mean(logs, clip_weights(clips.music))
    with np.errstate(invalid="ignore"):  # what is no number stays none, for who asks to see
        exponential = np.exp(mean - mean.max())
    return np.asarray(exponential / exponential.sum())


def track_music(music: Float32) -> float:
    """The probability that a track is music: the mean over its clips (clips,)."""
    return float(music.mean(dtype=np.float64))


def clip_weights(music: Float32) -> Float64:
    """The weight of each clip (clips,): its probability to be music.

    Clips that are not music have weight 0; if none is music, all weigh the same.
    """
    weights = np.where(music >= IS_MUSIC, music, np.float32(0.0)).astype(np.float64)
    return weights if weights.any() else np.ones(len(music))


def weighted_mean(rows: Float32, weights: Float64) -> Float64:
    """The mean over clips of (clips, columns), weighted by (clips,)."""
    return np.asarray((weights[:, None] * rows).sum(axis=0) / weights.sum())
