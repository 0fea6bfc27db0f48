"""The first head on a base: the likeliest one while the base stays as it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import keras
import numpy as np

from train.augment import Rng, augment
from train.dataset import Dataset, Float32, power
from train.logistic import balanced, regression
from train.network import embedding_of, set_head
from train.recipe import Recipe
from train.tracks import Track

_BATCH = 64


def first_head(model: keras.Model, data: Dataset, recipe: Recipe) -> None:
    """Fit a model's head to the consecutive clips of the train tracks and of their renditions.

    Beside each clip stand `recipe.head_copies` changed ones. Genres weigh the same, as do the
    tracks of one genre.
    """
    rng = np.random.default_rng(recipe.seed)
    hear = embedding_of(model)
    found, labels, weights = [], [], []
    tracks = data.of("train")
    per_track = balanced(np.array([data.label(track) for track in tracks]))
    for track, weight in zip(tracks, per_track, strict=True):
        mel_db = np.concatenate([*_sounds(data, track, recipe, rng)])
        embedding = hear.predict(power(mel_db), batch_size=_BATCH, verbose=0)
        found.append(embedding)
        labels += [data.label(track)] * len(embedding)
        weights += [weight / len(embedding)] * len(embedding)
    clips: Float32 = np.concatenate(found)
    targets = np.eye(len(data.genres), dtype=np.float32)[labels]
    smooth = (1.0 - recipe.label_smoothing) * targets + recipe.label_smoothing / len(data.genres)
    head = regression(clips, smooth, np.array(weights), recipe.head_penalty)
    set_head(model, clips, *head)


def _sounds(data: Dataset, track: Track, recipe: Recipe, rng: Rng) -> Iterator[Float32]:
    """A track's clips (n, frames, mel bands) in dB, as they are and changed."""
    how = replace(recipe.augmentation, mixup=0.0)
    others = data.renditions.get(track.track, ()) if recipe.renditions else ()
    for of in (track, *others):
        clips = data.clips(of)
        yield clips
        for _ in range(recipe.head_copies):
            yield augment(rng, clips, np.empty((len(clips), 1), np.float32), how)[0]
