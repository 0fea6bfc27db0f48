"""A small picture of a track's mel spectrogram, for people to look at."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import numpy as np

from serve.answer import MAX_BANDS, MAX_COLUMNS, MelPicture

# The server itself makes no spectrogram: it starts sooner without SciPy.
if TYPE_CHECKING:
    from serve.audio.mel import Float32

# Below the loudest spot; what is softer is as black as silence.
_RANGE_DB = 80.0
_FLOOR = 1e-10


def mel_picture(features: Float32) -> MelPicture:
    """The picture of a track's features (clips, frames, mel bands), which are mel power.

    Power is averaged over what shares a pixel; the logarithm is taken of the few values left.
    """
    frames = features.reshape(-1, features.shape[-1])
    power = _pooled(_pooled(frames, MAX_COLUMNS).T, MAX_BANDS).T
    decibels = 10.0 * np.log10(np.maximum(power, _FLOOR))
    high = float(decibels.max())
    grey = (decibels - (high - _RANGE_DB)) * (255.0 / _RANGE_DB)
    pixels = np.clip(np.rint(grey), 0, 255).astype(np.uint8)
    return MelPicture(
        columns=pixels.shape[0],
        bands=pixels.shape[1],
        low_db=round(high - _RANGE_DB, 1),
        high_db=round(high, 1),
        pixels=base64.b64encode(pixels.tobytes()).decode(),
    )


def _pooled(power: Float32, most: int) -> Float32:
    """Means of at most `most` groups of neighbouring rows, as even as whole numbers allow."""
    size = len(power)
    if size <= most:
        return power
    edges = np.arange(most + 1) * size // most
    firsts, counts = edges[:-1], np.diff(edges)
    # The first row of all groups, then the second, and so on: far faster than group by group.
    sums = power[firsts]
    for place in range(1, counts.max()):
        if (there := counts > place).all():
            sums += power[firsts + place]
        else:
            sums[there] += power[firsts[there] + place]
    pooled: Float32 = sums / counts.astype(np.float32)[:, None]
    return pooled
