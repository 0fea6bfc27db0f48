"""The first head on a base: the likeliest one while the base stays as it is."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np

from train.data.artists import shares
from train.data.dataset import Dataset, Float32, power
from train.data.tracks import Track
from train.fitting.augment import Augmentation, Rng, augment
from train.fitting.recipe import Recipe
from train.model.logistic import balanced, regression
from train.model.network import embedding_of, set_head

_BATCH = 64
# Of a rendition every so many clips are enough, and it weighs half as much as the track itself.
_EVERY, _RENDITION = 3, 0.5
# Half of what is old has no treble; from 4 kHz up in the shipped front end.
_LOW_PASS = Augmentation(
    contrast=0.0,
    eq_db=0.0,
    shift_bands=0,
    low_pass=1.0,
    low_pass_from=0.62,
    noise_floor=0.0,
    mask_bands=0,
    mask_frames=0,
    mixup=0.0,
)


def first_head(model: keras.Model, data: Dataset, recipe: Recipe) -> None:
    """Fit a model's head to the consecutive clips of the train tracks and of their renditions.

    Some stand there a second time with their treble cut off (`recipe.head_low_pass`). Genres weigh
    the same, tracks of one genre as `artists.shares` has it.
    """
    rng = np.random.default_rng(recipe.seed)
    hear = embedding_of(model)
    found, labels, weights = [], [], []
    tracks = data.of("train")
    per_track = balanced(np.array([data.label(track) for track in tracks]), shares(tracks))
    for track, weight in zip(tracks, per_track, strict=True):
        kinds = [*_sounds(data, track, recipe, rng)]
        mel_db = np.concatenate([clips for clips, _ in kinds])
        found.append(hear.predict(power(mel_db), batch_size=_BATCH, verbose=0))
        labels += [data.label(track)] * len(mel_db)
        total = sum(share for _, share in kinds)
        weights += [weight * of / total / len(clips) for clips, of in kinds for _ in clips]
    clips: Float32 = np.concatenate(found)
    targets = np.eye(len(data.genres), dtype=np.float32)[labels]
    smooth = (1.0 - recipe.label_smoothing) * targets + recipe.label_smoothing / len(data.genres)
    head = regression(clips, smooth, np.array(weights), recipe.head_penalty)
    set_head(model, clips, *head)


def _sounds(
    data: Dataset, track: Track, recipe: Recipe, rng: Rng
) -> Iterator[tuple[Float32, float]]:
    """A track's clips (n, frames, mel bands) in dB and what they weigh together.

    As they are, with their treble cut off, and of each rendition.
    """
    clips = data.clips(track)
    yield clips, 1.0
    if recipe.head_low_pass > 0.0:
        some = clips[:: max(1, round(1.0 / recipe.head_low_pass))]
        yield augment(rng, some, np.empty((len(some), 1), np.float32), _LOW_PASS)[0], 1.0
    for of in data.renditions.get(track.track, ()) if recipe.renditions else ():
        yield data.clips(of)[::_EVERY], _RENDITION
