"""Batches of random clips, deterministic for a seed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from train.data.artists import shares
from train.data.dataset import Dataset, Float32, power, relative_db
from train.data.sounds import Sounds
from train.fitting.augment import Rng, augment
from train.fitting.recipe import Recipe

Indices = NDArray[np.intp]

# Targets of non-music are uniform, up to rounding.
_EQUAL = 1e-6


def is_music(targets: Float32) -> NDArray[np.bool_]:
    """Which clips (n,) are music, by their targets (n, genres): non-music has uniform ones."""
    return np.asarray(np.ptp(targets, axis=1) >= _EQUAL)


class Batches:
    """Draws training clips: any window of a track's frames, so no two epochs are alike.

    `recipe` decides how many clips there are and how they are mixed and augmented; its seed is that
    of the non-music sounds. `rng` draws everything else.
    """

    def __init__(self, data: Dataset, recipe: Recipe, rng: Rng) -> None:
        tracks = data.of("train")
        others = [data.renditions.get(track.track, ()) for track in tracks]
        # Each track's number of renditions, and the index of the first: they follow all tracks.
        self._others = np.array([len(of) for of in others])
        self._first = len(tracks) + np.cumsum(self._others) - self._others
        listed = [*tracks, *(track for of in others for track in of)]
        self._windows = data.windows()
        self._starts = np.array([track.start for track in listed])
        self._ends = np.array([t.start + t.frames - data.front_end.frames for t in listed])
        self._targets = np.eye(len(data.genres), dtype=np.float32)[
            [data.label(track) for track in tracks]
        ]
        self._labels = np.array([data.label(track) for track in tracks])
        self._shares = shares(tracks)
        self._recipe, self._rng = recipe, rng
        self._batch = min(recipe.batch, len(tracks) * recipe.clips_per_track)
        self._renditions = recipe.renditions if self._others.any() else 0.0
        if recipe.not_music:
            self._sounds = Sounds(data.front_end, recipe.seed)

    def __len__(self) -> int:
        """Batches in an epoch; all are full."""
        return len(self._targets) * self._recipe.clips_per_track // self._batch

    def epoch(self) -> Iterator[tuple[Float32, Float32]]:
        """Mel power (n, frames, mel bands) and targets (n, genres) of one epoch's batches."""
        order = self._balanced_order() if self._recipe.balanced else self._order()
        for number in range(len(self)):
            tracks = order[number * self._batch : (number + 1) * self._batch]
            listed = self._rendered(tracks)
            rows = self._rng.integers(self._starts[listed], self._ends[listed] + 1)
            mel_db = self._windows[rows].transpose(0, 2, 1).astype(np.float32)
            targets = self._targets[tracks]
            silent = self._put_sounds(mel_db, targets)
            mel_db, targets = augment(self._rng, mel_db, targets, self._recipe.augmentation)
            mel = power(mel_db)
            # Zero power, which can't be expressed in dB relative to the loudest cell.
            mel[silent], targets[silent] = 0.0, 1.0 / targets.shape[1]
            yield mel, targets

    def _order(self) -> Indices:
        """Track indices, each `clips_per_track` times, shuffled."""
        tracks, times = len(self._targets), range(self._recipe.clips_per_track)
        return np.concatenate([self._rng.permutation(tracks) for _ in times])

    def _balanced_order(self) -> Indices:
        """As many in all, evenly over genres, and within a genre in proportion to `shares`."""
        genres = np.unique(self._labels)
        each = len(self._targets) * self._recipe.clips_per_track // len(genres) + 1
        drawn = [self._drawn(np.flatnonzero(self._labels == genre), each) for genre in genres]
        # One of each genre in turn, with the genres in a new order each time.
        rows = self._rng.permuted(np.stack(drawn, axis=1), axis=1)
        return rows.reshape(-1)

    def _drawn(self, tracks: Indices, number: int) -> Indices:
        """`number` of a genre's tracks in proportion to their shares, evenly spaced."""
        edges = np.cumsum(self._shares[tracks])
        points = (np.arange(number) + self._rng.random()) * edges[-1] / number
        picked = np.searchsorted(edges, points, side="right").clip(max=len(tracks) - 1)
        turns = np.bincount(picked, minlength=len(tracks))[picked]
        turn = np.arange(number) - np.searchsorted(picked, picked)
        order = np.argsort((turn + self._rng.random(number)) / turns)
        drawn: Indices = tracks[picked[order]]
        return drawn

    def _rendered(self, tracks: Indices) -> Indices:
        """The tracks, some replaced by one of their renditions."""
        if not self._renditions:
            return tracks
        others = self._others[tracks]
        taken = (self._rng.random(len(tracks)) < self._renditions) & (others > 0)
        which = self._first[tracks] + (self._rng.random(len(tracks)) * others).astype(int)
        return np.where(taken, which, tracks)

    def _put_sounds(self, mel_db: Float32, targets: Float32) -> Indices:
        """Replace some clips by sounds; returns the indices of those that must be silent."""
        if not self._recipe.not_music:
            return np.array([], int)
        chosen = np.flatnonzero(self._rng.random(len(mel_db)) < self._recipe.not_music)
        which = self._rng.integers(len(self._sounds), size=len(chosen))
        silent = []
        for row, number in zip(chosen, which, strict=True):
            if (sound := self._sounds[int(number)]).any():
                mel_db[row], targets[row] = relative_db(sound), 1.0 / targets.shape[1]
            else:
                silent.append(row)
        return np.array(silent, int)
