"""From what the model says of a track's clips to the answer for the track."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from serve.errors import Internal
from serve.inference.card import ModelCard
from serve.inference.outputs import (
    IS_MUSIC,
    Float64,
    Outputs,
    clip_weights,
    track_music,
    track_probabilities,
    weighted_mean,
)

_DECIMALS = 2
# Tags that are told, at most, and the least probability that is worth telling.
_TAGS = 5
_LEAST_TAG = 0.03


class ClipVerdict(NamedTuple):
    """A clip's genre, its probability, and how sure it is that the clip is music (both 0 to 1)."""

    genre: str
    confidence: float
    music: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """A track's genres in percent, highest first, and the genre of each clip.

    `results` sums to 100; `clips` are in order of time; `shares` holds all of a clip's genres in
    percent, to one decimal, in the model's order. `music` tells how sure it is that the track is
    music, 0 to 1; `tags` what it sounds like, most likely first, with probabilities: kinds of music
    or, if it is none, sounds.
    """

    top: str
    results: dict[str, float]
    music: float
    tags: dict[str, float]
    clips: tuple[ClipVerdict, ...]
    shares: tuple[tuple[float, ...], ...]


def aggregate(clips: Outputs, card: ModelCard) -> Verdict:
    """What the model that `card` describes says of a track with these clips.

    Raises Internal where some of it is not a number.
    """
    mean, music = track_probabilities(clips, card.sharpness), track_music(clips.music)
    if not (np.isfinite(mean).all() and np.isfinite(music)):
        raise Internal("The model gave no numbers for this track.")
    genres = card.genres
    percent = _percentages(mean)
    order = sorted(range(len(genres)), key=lambda g: (-percent[g], -mean[g], g))
    best = clips.probabilities.argmax(axis=1)
    confidence = clips.probabilities[np.arange(len(clips)), best]
    return Verdict(
        top=genres[order[0]],
        results={genres[g]: percent[g] for g in order},
        music=round(music, 4),
        tags=_tags(clips, card, music >= IS_MUSIC),
        clips=tuple(
            ClipVerdict(genres[g], round(sure, 4), round(is_music, 4))
            for g, sure, is_music in zip(
                best.tolist(), confidence.tolist(), clips.music.tolist(), strict=True
            )
        ),
        shares=tuple(map(tuple, np.round(clips.probabilities * np.float64(100), 1).tolist())),
    )


def _tags(clips: Outputs, card: ModelCard, is_music: bool) -> dict[str, float]:
    """The most likely tags of what is music, or sounds of what is not."""
    names, first = (card.tags, 0) if is_music else (card.sounds, len(card.tags))
    weights = clip_weights(clips.music) if is_music else np.ones(len(clips))
    mean = weighted_mean(clips.tags[:, first : first + len(names)], weights)
    best = sorted(range(len(names)), key=lambda tag: -mean[tag])[:_TAGS]
    return {names[tag]: round(float(mean[tag]), 4) for tag in best if mean[tag] >= _LEAST_TAG}


def _percentages(shares: Float64) -> list[float]:
    # Rounded so that they still sum to 100: the largest remainders are rounded up.
    units = 100 * 10**_DECIMALS
    exact = shares / shares.sum() * units
    whole = np.floor(exact).astype(int)
    up = np.argsort(whole - exact, kind="stable")[: units - int(whole.sum())]
    whole[up] += 1
    return [round(unit / 10**_DECIMALS, _DECIMALS) for unit in whole.tolist()]
