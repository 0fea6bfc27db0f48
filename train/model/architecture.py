"""The size of the network."""

from __future__ import annotations

from dataclasses import dataclass

from train.model.pinned import Pinned


@dataclass(frozen=True, slots=True)
class Architecture:
    """Size of the network: a stem, then stages that halve time and frequency.

    Dense 3x3 convolutions only: per unit of accuracy they run faster in ONNX Runtime than
    depthwise ones.
    """

    stem: int = 16
    """channels of the first convolution"""
    stages: tuple[int, ...] = (32, 64, 128)
    """channels of each stage"""
    blocks: int = 1
    """residual convolutions in each stage"""
    dropout: float = 0.5
    """share of the pooled features dropped in training"""
    memory: float = 0.98
    """share of batch normalisation's running statistics kept in a step"""
    floor_db: float = 70.0
    """floor in dB below the clip's loudest cell"""
    base: Pinned | None = None
    """an adapted teacher that replaces all convolutions: only dropout of the above then applies"""
