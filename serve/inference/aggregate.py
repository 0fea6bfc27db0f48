"""Aggregates the model's outputs for a track's clips into the answer for the track."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from serve.answer import Clip, Shares, Tag
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
# Most tags in an answer, and the lowest probability of one.
_TAGS = 5
_LEAST_TAG = 0.03


@dataclass(frozen=True, slots=True)
class Verdict:
    """A track's genres and those of its clips: see the fields of `Answer`."""

    top: str
    results: dict[str, float]
    music: float
    tags: tuple[Tag, ...]
    timeline: tuple[Clip, ...]
    clips: Shares


def aggregate(clips: Outputs, card: ModelCard, clip_s: float) -> Verdict:
    """Aggregate the outputs of the model with this `card` for clips of `clip_s` seconds each.

    Raises Internal if an output is not finite.
    """
    mean, music = track_probabilities(clips, card.sharpness), track_music(clips.music)
    if not (np.isfinite(mean).all() and np.isfinite(music)):
        raise Internal("The model gave no numbers for this track.")
    genres = card.genres
    percent = _percentages(mean)
    order = sorted(range(len(genres)), key=lambda g: (-percent[g], -mean[g], g))
    best = clips.probabilities.argmax(axis=1)
    confidence = clips.probabilities[np.arange(len(clips)), best]
    percent_of_clips = np.round(clips.probabilities * np.float64(100), 1)
    return Verdict(
        top=genres[order[0]],
        results={genres[g]: percent[g] for g in order},
        music=round(music, 4),
        tags=_tags(clips, card, music >= IS_MUSIC),
        timeline=tuple(
            Clip(start, genres[g], round(sure, 4), round(is_music, 4))
            for start, g, sure, is_music in zip(
                _starts(clip_s, len(clips)),
                best.tolist(),
                confidence.tolist(),
                clips.music.tolist(),
                strict=True,
            )
        ),
        clips=Shares(genres, tuple(map(tuple, percent_of_clips.tolist()))),
    )


@lru_cache
def _starts(clip_s: float, clips: int) -> tuple[float, ...]:
    return tuple(round(n * clip_s, 3) for n in range(clips))


def _tags(clips: Outputs, card: ModelCard, is_music: bool) -> tuple[Tag, ...]:
    """The most likely tags of music, or sounds of anything else."""
    names, first = (card.tags, 0) if is_music else (card.sounds, len(card.tags))
    weights = clip_weights(clips.music) if is_music else np.ones(len(clips))
    mean = weighted_mean(clips.tags[:, first : first + len(names)], weights)
    best = sorted(range(len(names)), key=lambda tag: -mean[tag])[:_TAGS]
    likely = (tag for tag in best if mean[tag] >= _LEAST_TAG)
    return tuple(Tag(names[tag], round(float(mean[tag]), 4)) for tag in likely)


def _percentages(shares: Float64) -> list[float]:
    # Rounded so that they still sum to 100: the largest remainders are rounded up.
    units = 100 * 10**_DECIMALS
    exact = shares / shares.sum() * units
    whole = np.floor(exact).astype(int)
    up = np.argsort(whole - exact, kind="stable")[: units - int(whole.sum())]
    whole[up] += 1
    return [round(unit / 10**_DECIMALS, _DECIMALS) for unit in whole.tolist()]
