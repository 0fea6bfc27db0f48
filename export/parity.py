"""Checks that the exported model gives the same outputs as the checkpoint."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from export.errors import ExportError
from serve.audio.frontend import FrontEnd
from serve.inference.outputs import Outputs
from train.data.dataset import Float32
from train.scoring.scores import Predict

# One clip, a few, a bucket, and a track of ten minutes.
BATCHES = (1, 7, 64, 428)
TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Difference:
    """How far the outputs of two models for a batch are apart."""

    clips: int
    largest: float
    """largest difference of any probability, including music and tags"""
    same_genre: float
    """share of clips with the same answer"""


def probe(front_end: FrontEnd, clips: int, seed: int = 0) -> Float32:
    """Mel power (clips, frames, mel bands) like music's, at various levels, with edge cases.

    Every fifth clip has empty upper bands; the last of three or more is digital silence.
    """
    rng = np.random.default_rng(seed)
    frames, bands = front_end.clip_shape
    level = rng.uniform(-90.0, 50.0, (clips, 1, 1))
    tilt = rng.uniform(-60.0, 0.0, (clips, 1, 1)) * np.linspace(0.0, 1.0, bands)
    beat = rng.uniform(0.0, 20.0, (clips, 1, 1)) * rng.random((clips, frames, 1))
    cells = rng.normal(0.0, 8.0, (clips, frames, bands))
    power = np.power(10.0, (level + tilt + beat + cells) / 10.0)
    power[::5, :, bands * 3 // 4 :] = 0.0
    if clips >= 3:
        power[-1] = 0.0
    return power.astype(np.float32)


def compare(
    one: Predict, other: Predict, front_end: FrontEnd, tolerance: float = TOLERANCE
) -> list[Difference]:
    """Differences of two models over `BATCHES`; raise ExportError if they exceed the tolerance."""
    table = []
    for clips in BATCHES:
        mel = probe(front_end, clips, seed=clips)
        first, second = one(mel), other(mel)
        largest = difference(first, second)
        if not largest <= tolerance:
            raise ExportError(
                f"{clips} clips: probabilities differ by {largest:.2g}, more than {tolerance:.0e}"
            )
        answers = (of.probabilities.argmax(axis=1) for of in (first, second))
        same = float(np.equal(*answers).mean())
        table.append(Difference(clips, largest, same))
    return table


def difference(one: Outputs, other: Outputs) -> float:
    """The largest difference between outputs for the same clips; NaN if any output is."""
    pairs = zip(_arrays(one), _arrays(other), strict=True)
    return float(np.max([np.abs(first - second).max(initial=0.0) for first, second in pairs]))


def _arrays(said: Outputs) -> tuple[Float32, ...]:
    return said.probabilities, said.music, said.tags
