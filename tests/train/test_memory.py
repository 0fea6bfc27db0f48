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
from train import recovered
from train.augment import Augmentation
from train.batches import Batches
from train.dataset import Dataset, Float32
from train.evaluate import evaluate

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
    names = [f"{'ab'[n % 2]}.{n:05d}" for n in range(TRACKS)]
    mel_db = np.full((TRACKS, FRAMES, BANDS), 100, np.uint8)
    mel_db += (np.arange(TRACKS) % 100).astype(np.uint8)[:, None, None]
    np.savez_compressed(folder / "mel.npz", tracks=names, mel_db=mel_db)
    del mel_db
    rows = [f"{name},{name[0]},{('train', 'valid')[n % 4 // 2]}" for n, name in enumerate(names)]
    (folder / "tracks.csv").write_text("\n".join(["track,genre,split", *rows]))
    with at_most(MEGABYTES / 8):
        return recovered.build(folder, folder / "dataset", FrontEnd())


def test_a_dataset_is_built_and_read_without_being_held(large: Dataset) -> None:
    assert isinstance(large.mel_db, np.memmap)
    assert large.mel_db.nbytes == pytest.approx(MEGABYTES * 1e6)

    def predict(mel: Float32) -> Outputs:
        return said(np.full((len(mel), 2), 0.5))

    with at_most(MEGABYTES / 1.5):
        again = Dataset.load(large.folder or Path())
        rng = np.random.default_rng(1)
        batches = Batches(again, 2, 16, Augmentation(), rng)
        assert sum(len(mel) for mel, _ in batches.epoch()) == TRACKS
        assert evaluate(predict, again, again.tracks).tracks == TRACKS
    for number in (0, 7, TRACKS - 1):
        expected = (100 + number % 100) / 2.0 - 127.5
        np.testing.assert_array_equal(again.clips(again.tracks[number])[0], expected)
