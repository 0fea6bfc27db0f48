"""The settings of adapting a teacher."""

from __future__ import annotations

from dataclasses import dataclass

#: Default number of clips of unlabelled audio.
CLIPS = 13_000


@dataclass(frozen=True, slots=True)
class Adaptation:
    """Everything that, together with the targets, determines the result."""

    steps: int = 1600
    batch: int = 64
    learning_rate: float = 6e-4
    """the peak, after the warm-up; then a half cosine down to zero"""
    seed: int = 1
