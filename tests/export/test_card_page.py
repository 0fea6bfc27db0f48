"""The card's page: robustness, and non-music."""

from __future__ import annotations

import numpy as np

from export.card_page import _changed, _sounds
from export.non_music import sounds
from serve.audio.frontend import FrontEnd
from serve.audio.mel import Float32
from serve.inference.outputs import Outputs
from tests.outputs import said
from train.evaluation.robustness import Changed

FRONT_END = FrontEnd()


def high_or_low(mel: Float32) -> Outputs:
    """Genre 1 where a clip's loudest band lies in the upper half, else 0, each with 0.9."""
    high = mel.mean(axis=1).argmax(axis=1) >= FRONT_END.n_mels // 2
    return said(np.where(high[:, None], [0.1, 0.9], [0.9, 0.1]), music=0.25)


def test_sounds_that_are_not_music() -> None:
    found = sounds(high_or_low, FRONT_END, ("low", "high"))
    assert {s.name: s.genre for s in found}["tone of 440 Hz"] == "low"
    assert {s.name: s.genre for s in found}["tone of 3 kHz"] == "high"
    assert all(0.5 <= s.confidence <= 0.9 + 1e-6 for s in found)
    assert "| tone of 440 Hz | 25% | low | 90% |" in _sounds(found)


def test_the_card_tells_of_changes() -> None:
    row = Changed("high tones lost", tracks=3, moved=1, right=1, right_before=2, drift=0.1)
    assert "| high tones lost | 1 (33.3%) | 2 | 1 |" in _changed([row])
    assert _changed([]) == ""
