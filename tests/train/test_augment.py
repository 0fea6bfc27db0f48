from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from train.data.dataset import Float32
from train.fitting.augment import OFF, Augmentation, augment


@pytest.fixture
def batch() -> tuple[Float32, Float32]:
    rng = np.random.default_rng(0)
    mel_db = rng.uniform(-90.0, 0.0, (8, 16, 128)).astype(np.float32)
    return mel_db, np.eye(8, dtype=np.float32)


def test_nothing_on_changes_nothing(batch: tuple[Float32, Float32]) -> None:
    mel_db, targets = augment(np.random.default_rng(1), *batch, OFF)
    np.testing.assert_array_equal(mel_db, batch[0])
    np.testing.assert_array_equal(targets, batch[1])


@pytest.mark.parametrize(
    "name", [f.name for f in fields(Augmentation) if not f.name.startswith(("eq_k", "low_pass_"))]
)
def test_each_part_changes_clips_and_repeats(batch: tuple[Float32, Float32], name: str) -> None:
    strong: dict[str, Any] = {"shift_bands": 4, "mask_bands": 20, "mask_frames": 5}
    how = replace(OFF, **{name: strong.get(name, 1.0)})
    mel_db, targets = augment(np.random.default_rng(1), *batch, how)
    again, _ = augment(np.random.default_rng(1), *batch, how)
    assert (mel_db != batch[0]).any()
    assert mel_db.dtype == np.float32
    assert np.isfinite(mel_db).all()
    np.testing.assert_array_equal(mel_db, again)
    np.testing.assert_allclose(targets.sum(axis=1), 1.0, rtol=1e-6)
    assert (targets != batch[1]).any() == (name == "mixup")


def test_contrast_stretches_below_the_peak(batch: tuple[Float32, Float32]) -> None:
    clips = np.repeat(batch[0], 500, axis=0)
    targets = np.zeros((len(clips), 8), np.float32)
    mel_db, _ = augment(np.random.default_rng(1), clips, targets, replace(OFF, contrast=0.15))
    below = clips - clips.max(axis=(1, 2), keepdims=True)
    stretched = mel_db - clips.max(axis=(1, 2), keepdims=True)
    factor = stretched.min(axis=(1, 2)) / below.min(axis=(1, 2))
    np.testing.assert_allclose(stretched, factor[:, None, None] * below, rtol=1e-4, atol=1e-4)
    assert np.log(factor).std() == pytest.approx(0.15, rel=0.05)
    assert np.log(factor).mean() == pytest.approx(0.0, abs=0.01)


def test_low_pass_empties_upper_bands_only(batch: tuple[Float32, Float32]) -> None:
    mel_db, _ = augment(np.random.default_rng(1), *batch, replace(OFF, low_pass=1.0))
    kept = int(0.6 * 128)
    np.testing.assert_array_equal(mel_db[:, :, :kept], batch[0][:, :, :kept])
    assert (mel_db[:, :, -1] < -200.0).all()


def test_what_is_no_music_is_not_mixed_with_any(batch: tuple[Float32, Float32]) -> None:
    mel_db, targets = batch
    targets = targets.copy()
    targets[::2] = 1.0 / targets.shape[1]
    rng = np.random.default_rng(0)
    mixed, said = augment(rng, mel_db, targets, replace(OFF, mixup=0.4))
    np.testing.assert_array_equal(said[::2], targets[::2])
    level = mel_db - mel_db.max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(mixed[::2], level[::2], atol=1e-4)
    assert (said[1::2] != targets[1::2]).any(axis=1).sum() > 1
