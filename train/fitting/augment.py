"""Augmentation of clips in dB, vectorised over a batch; it keeps their genre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from train.data.dataset import FLOOR_DB, Float32

Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How strongly clips are changed. Not in level: the network removes it."""

    contrast: float = 0.15
    """standard deviation of the log of a random factor on dB below the clip's loudest cell; 0 for
    none. Chosen on spectrograms read from images, whose scale was off by as much"""
    eq_db: float = 6.0
    """standard deviation of a smooth random equaliser, in dB"""
    eq_knots: int = 8
    """points across all bands between which the equaliser is interpolated"""
    shift_bands: int = 2
    """largest shift up or down, in bands"""
    low_pass: float = 0.3
    """share of clips that are emptied above a random band, as in low-rate sources"""
    low_pass_from: float = 0.6
    """lowest such band, as a share of the bands (0.6: about 3.6 kHz of 11 kHz)"""
    noise_floor: float = 0.3
    """share of clips that get a noise floor 45 to 80 dB below the loudest cell"""
    mask_bands: int = 16
    """widest of two masks, in bands (SpecAugment, Park et al. 2019)"""
    mask_frames: int = 3
    """longest mask, in frames"""
    mixup: float = 0.4
    """alpha of mixup's Beta distribution (Zhang et al. 2018); 0 for none"""


#: No change at all.
OFF = Augmentation(
    contrast=0.0,
    eq_db=0.0,
    shift_bands=0,
    low_pass=0.0,
    noise_floor=0.0,
    mask_bands=0,
    mask_frames=0,
    mixup=0.0,
)


def augment(
    rng: Rng, mel_db: Float32, targets: Float32, how: Augmentation
) -> tuple[Float32, Float32]:
    """Changed clips (n, frames, mel bands) in dB and targets (n, genres) of a batch."""
    mel_db = _shift(rng, mel_db, how.shift_bands)
    if how.contrast > 0:
        mel_db = _contrast(rng, mel_db, how.contrast)
    mel_db = mel_db + _equaliser(rng, len(mel_db), mel_db.shape[2], how)[:, None, :]
    if how.mixup > 0:
        mel_db, targets = _mixup(rng, mel_db, targets, how.mixup)
    mel_db = _low_pass(rng, mel_db, how)
    mel_db = _mask(rng, mel_db, 2, how.mask_bands)
    mel_db = _mask(rng, mel_db, 2, how.mask_bands)
    mel_db = _mask(rng, mel_db, 1, how.mask_frames)
    return mel_db.astype(np.float32), targets


def _shift(rng: Rng, mel_db: Float32, most: int) -> Float32:
    bands = mel_db.shape[2]
    shifts = rng.integers(-most, most + 1, len(mel_db))
    source = np.clip(np.arange(bands)[None, :] - shifts[:, None], 0, bands - 1)
    return np.take_along_axis(mel_db, source[:, None, :], axis=2)


def _contrast(rng: Rng, mel_db: Float32, deviation: float) -> Float32:
    factor = np.exp(rng.normal(0.0, deviation, len(mel_db))).astype(np.float32)[:, None, None]
    peak = mel_db.max(axis=(1, 2), keepdims=True)
    stretched: Float32 = peak + factor * (mel_db - peak)
    return stretched


def _equaliser(rng: Rng, clips: int, bands: int, how: Augmentation) -> Float32:
    knots = rng.normal(0.0, how.eq_db, (clips, how.eq_knots))
    where = np.linspace(0.0, how.eq_knots - 1.0, bands)
    left = np.minimum(where.astype(int), how.eq_knots - 2)
    share = where - left
    curve: Float32 = knots[:, left] * (1.0 - share) + knots[:, left + 1] * share
    return curve.astype(np.float32)


def _mixup(rng: Rng, mel_db: Float32, targets: Float32, alpha: float) -> tuple[Float32, Float32]:
    share = rng.beta(alpha, alpha, len(mel_db)).astype(np.float32)
    share = np.maximum(share, 1.0 - share)
    # Non-music is left alone: with anything mixed in, a teacher would hear music.
    share[np.ptp(targets, axis=1) == 0.0] = 1.0
    other = rng.permutation(len(mel_db))
    # Clips are scaled to the same peak first, or a quiet clip's share would be inaudible.
    level = mel_db - mel_db.max(axis=(1, 2), keepdims=True)
    mixed = share[:, None, None] * level + (1.0 - share)[:, None, None] * level[other]
    return mixed, share[:, None] * targets + (1.0 - share)[:, None] * targets[other]


def _low_pass(rng: Rng, mel_db: Float32, how: Augmentation) -> Float32:
    bands = mel_db.shape[2]
    cutoff = rng.integers(int(how.low_pass_from * bands), bands, len(mel_db))
    cutoff[rng.random(len(mel_db)) >= how.low_pass] = bands
    empty = np.arange(bands)[None, None, :] >= cutoff[:, None, None]
    mel_db = np.where(empty, 2.0 * FLOOR_DB, mel_db)
    noisy = rng.random(len(mel_db)) < how.noise_floor
    floor = np.where(noisy, rng.uniform(-80.0, -45.0, len(mel_db)), 3.0 * FLOOR_DB)
    peak = mel_db.max(axis=(1, 2))
    raised: Float32 = np.maximum(mel_db, (peak + floor)[:, None, None])
    return raised.astype(np.float32)


def _mask(rng: Rng, mel_db: Float32, axis: int, most: int) -> Float32:
    length = mel_db.shape[axis]
    width = rng.integers(0, min(most, length - 1) + 1, len(mel_db))
    start = (rng.random(len(mel_db)) * (length - width + 1)).astype(int)
    cells = np.arange(length)[None, :]
    masked = (cells >= start[:, None]) & (cells < (start + width)[:, None])
    masked = masked[:, None, :] if axis == 2 else masked[:, :, None]
    mean = mel_db.mean(axis=(1, 2), keepdims=True)
    return np.where(masked, mean, mel_db)
