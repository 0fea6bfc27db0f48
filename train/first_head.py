"""The first head on a base: the likeliest one while the base stays as it is."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np

from train.dataset import Dataset, Float32, power
from train.logistic import balanced, regression
from train.network import embedding_of, set_head
from train.recipe import Recipe
from train.tracks import Track

_BATCH = 64


def first_head(model: keras.Model, data: Dataset, recipe: Recipe) -> None:
    """Fit a model's head to the consecutive clips of the train tracks and of their renditions.

    Genres weigh the same, as do the tracks of one genre.
    """
    hear = embedding_of(model)
    found, labels, weights = [], [], []
    tracks = data.of("train")
    per_track = balanced(np.array([data.label(track) for track in tracks]))
    for track, weight in zip(tracks, per_track, strict=True):
        sounds = list(_sounds(data, track, recipe))
        embedding = hear.predict(power(np.concatenate(sounds)), batch_size=_BATCH, verbose=0)
        found.append(embedding)
        labels += [data.label(track)] * len(embedding)
        weights += [weight / len(embedding)] * len(embedding)
    clips: Float32 = np.concatenate(found)
    targets = np.eye(len(data.genres), dtype=np.float32)[labels]
    smooth = (1.0 - recipe.label_smoothing) * targets + recipe.label_smoothing / len(data.genres)
    head = regression(clips, smooth, np.array(weights), recipe.head_penalty)
    set_head(model, clips, *head)


def _sounds(data: Dataset, track: Track, recipe: Recipe) -> Iterator[Float32]:
    yield data.clips(track)
    if recipe.renditions:
        yield from map(data.clips, data.renditions.get(track.track, ()))
