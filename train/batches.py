"""Batches of random clips, the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from train.augment import Augmentation, Rng, augment
from train.dataset import Dataset, Float32, power


class Batches:
    """Draws training clips: every window of a track's frames is one, so no two epochs are alike."""

    def __init__(
        self, data: Dataset, clips_per_track: int, batch: int, how: Augmentation, rng: Rng
    ) -> None:
        tracks = data.of("train")
        self._windows = data.windows()
        self._starts = np.array([track.start for track in tracks])
        self._ends = np.array([t.start + t.frames - data.front_end.frames for t in tracks])
        self._targets = np.eye(len(data.genres), dtype=np.float32)[
            [data.label(track) for track in tracks]
        ]
        self._clips_per_track = clips_per_track
        self._batch = min(batch, len(tracks) * clips_per_track)
        self._how = how
        self._rng = rng

    def __len__(self) -> int:
        """Batches in an epoch; all are full."""
        return len(self._starts) * self._clips_per_track // self._batch

    def epoch(self) -> Iterator[tuple[Float32, Float32]]:
        """Mel power (n, frames, mel bands) and targets (n, genres) of one epoch's batches."""
        order = np.concatenate(
            [self._rng.permutation(len(self._starts)) for _ in range(self._clips_per_track)]
        )
        for number in range(len(self)):
            tracks = order[number * self._batch : (number + 1) * self._batch]
            rows = self._rng.integers(self._starts[tracks], self._ends[tracks] + 1)
            mel_db = self._windows[rows].transpose(0, 2, 1).astype(np.float32)
            mel_db, targets = augment(self._rng, mel_db, self._targets[tracks], self._how)
            yield power(mel_db), targets
