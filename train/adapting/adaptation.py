"""How a teacher is adapted."""

from __future__ import annotations

from dataclasses import dataclass

#: Clips of unlabelled audio that are made, where nothing else is asked for.
CLIPS = 13_000


@dataclass(frozen=True, slots=True)
class Adaptation:
    """With the targets, everything that decides what comes out."""

    steps: int = 1600
    batch: int = 64
    learning_rate: float = 6e-4
    """highest, after the warm-up; then half a cosine down to zero"""
    seed: int = 1
