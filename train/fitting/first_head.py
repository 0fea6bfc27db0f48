"""The first head on a base: the maximum-likelihood one, with the base unchanged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

import keras
import numpy as np

from serve.inference.outputs import Float64
from train.data.artists import shares
from train.data.dataset import Dataset, Float32, power
from train.data.tracks import Track
from train.fitting.augment import OFF, Rng, augment
from train.fitting.recipe import Recipe
from train.model.logistic import balanced, regression
from train.model.network import embedding_of, set_head

_BATCH = 64
# Every third clip of a rendition is enough; it weighs half as much as the track itself.
_EVERY, _RENDITION = 3, 0.5
# Old recordings often have no treble: from 4 kHz up in the shipped front end.
_LOW_PASS = replace(OFF, low_pass=1.0, low_pass_from=0.62)


@dataclass(frozen=True, slots=True)
class _Sound:
    """Clips (n, frames, mel bands) of a track in dB, and their total weight."""

    clips: Float32
    weight: float
    rendition: str = ""


def first_head(model: keras.Model, data: Dataset, recipe: Recipe) -> None:
    """Fit a model's head to clips of the train tracks, half a clip apart, and of their renditions.

    Some are repeated with their treble cut off (`recipe.head_low_pass`). Genres weigh the same,
    tracks within a genre in proportion to `artists.shares`. `recipe.head_shift_penalty` keeps the
    head from following what a rendition does to the mean of a genre.
    """
    rng = np.random.default_rng(recipe.seed)
    hear = embedding_of(model)
    found, labels, weights = [], [], []
    shifts: dict[tuple[str, str], Float64] = defaultdict(lambda: np.zeros(1))
    tracks = data.of("train")
    per_track = balanced(np.array([data.label(track) for track in tracks]), shares(tracks))
    for track, weight in zip(tracks, per_track, strict=True):
        sounds = [*_sounds(data, track, recipe, rng)]
        mel_db = np.concatenate([sound.clips for sound in sounds])
        heard = hear.predict(power(mel_db), batch_size=_BATCH, verbose=0)
        found.append(heard)
        labels += [data.label(track)] * len(mel_db)
        total = sum(sound.weight for sound in sounds)
        weights += [weight * of.weight / total / len(of.clips) for of in sounds for _ in of.clips]
        for rendition, shift in _shifts(sounds, heard):
            shifts[rendition, track.genre] = shifts[rendition, track.genre] + weight * shift
    clips: Float32 = np.concatenate(found)
    targets = np.eye(len(data.genres), dtype=np.float32)[labels]
    smooth = (1.0 - recipe.label_smoothing) * targets + recipe.label_smoothing / len(data.genres)
    moves = [np.sqrt(recipe.head_shift_penalty / len(shifts)) * shift for shift in shifts.values()]
    head = regression(
        clips, smooth, np.array(weights), recipe.head_penalty, np.array(moves) if moves else None
    )
    set_head(model, clips, *head)


def _sounds(data: Dataset, track: Track, recipe: Recipe, rng: Rng) -> Iterator[_Sound]:
    """A track's clips, those half a clip later, low-passed ones, and its renditions."""
    clips = data.clips(track)
    yield _Sound(clips, 1.0)
    if len(between := data.clips(track, data.front_end.frames // 2)):
        yield _Sound(between, 1.0)
    if recipe.head_low_pass > 0.0:
        some = clips[:: max(1, round(1.0 / recipe.head_low_pass))]
        yield _Sound(augment(rng, some, np.empty((len(some), 1), np.float32), _LOW_PASS)[0], 1.0)
    for of in data.renditions.get(track.track, ()) if recipe.renditions else ():
        yield _Sound(data.clips(of)[::_EVERY], _RENDITION, of.rendition)


def _shifts(sounds: list[_Sound], heard: Float32) -> Iterator[tuple[str, Float32]]:
    """How far the mean of each rendition of a track is from that of the same unaltered clips.

    `heard` (clips, features) holds the features of the sounds, the first of which is the track.
    """
    ends = np.cumsum([len(sound.clips) for sound in sounds])
    itself, *others = np.split(heard, ends[:-1])
    for sound, other in zip(sounds[1:], others, strict=True):
        if sound.rendition:
            same = itself[::_EVERY][: len(other)]
            yield sound.rendition, other.mean(axis=0) - same.mean(axis=0)
