from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from serve.audio.frontend import FrontEnd
from serve.inference.outputs import Outputs
from tests.outputs import said
from train.data.dataset import Dataset, Float32
from train.data.tracks import Track
from train.data.writer import DatasetWriter
from train.fitting.batches import Batches
from train.fitting.recipe import Recipe
from train.scoring.scores import evaluate

TRACKS, FRAMES, BANDS = 400, 320, 128
MEGABYTES = TRACKS * FRAMES * BANDS * 2 / 1e6
"""of the dataset: 33"""


@contextmanager
def at_most(megabytes: float) -> Iterator[None]:
    """Fails where the block had more memory of Python and NumPy at a time; maps are not counted."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < megabytes * 1e6


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("large")
    with at_most(MEGABYTES / 8), DatasetWriter(folder, FrontEnd(), "made up") as writer:
        for n in range(TRACKS):
            genre, split = "ab"[n % 2], ("train", "valid")[n % 4 // 2]
            mel_db = np.full((FRAMES, BANDS), level_db(n), np.float32)
            writer.add(Track(f"{genre}.{n:05d}", genre, split), mel_db)
        return writer.finish()


def level_db(number: int) -> float:
    """What all cells of a track are."""
    return (100 + number % 100) / 2.0 - 127.5


def test_a_dataset_is_built_and_read_without_being_held(large: Dataset) -> None:
    assert isinstance(large.mel_db, np.memmap)
    assert large.mel_db.nbytes == pytest.approx(MEGABYTES * 1e6)

    def predict(mel: Float32) -> Outputs:
        return said(np.full((len(mel), 2), 0.5))

    with at_most(MEGABYTES / 1.5):
        again = Dataset.load(large.folder or Path())
        rng = np.random.default_rng(1)
        recipe = Recipe(clips_per_track=2, batch=16, not_music=0.0, balanced=False)
        batches = Batches(again, recipe, rng)
        assert sum(len(mel) for mel, _ in batches.epoch()) == TRACKS
        assert evaluate(predict, again, again.tracks).tracks == TRACKS
    for number in (0, 7, TRACKS - 1):
        np.testing.assert_array_equal(again.clips(again.tracks[number])[0], level_db(number))
