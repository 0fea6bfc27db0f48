"""The measures of steadiness, on a predictor whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from export.card import _changed, _sounds
from export.changes import CHANGES
from export.robust import Changed, robustness, sounds
from serve.audio.frontend import FrontEnd
from serve.audio.mel import Float32

FRONT_END = FrontEnd()
RATE = FRONT_END.sample_rate


def tone(hz: float, seconds: float = 4.2) -> Float32:
    t = np.arange(round(seconds * RATE)) / RATE
    return (0.4 * np.sin(2 * np.pi * hz * t)).astype(np.float32)


def high_or_low(mel: Float32) -> Float32:
    """Genre 1 where a clip's loudest band lies in the upper half, else 0, each with 0.9."""
    high = mel.mean(axis=1).argmax(axis=1) >= FRONT_END.n_mels // 2
    return np.where(high[:, None], [0.1, 0.9], [0.9, 0.1]).astype(np.float32)


TRACKS = [(0, tone(300.0)), (1, tone(5000.0)), (1, tone(300.0))]


def test_changes_that_move_nothing() -> None:
    for row in robustness(high_or_low, FRONT_END, TRACKS):
        assert (row.tracks, row.moved, row.right, row.right_before) == (3, 0, 2, 2), row.change


def test_a_change_that_moves_one() -> None:
    changes = {"high tones lost": lambda samples, rate: tone(300.0)}
    (row,) = robustness(high_or_low, FRONT_END, TRACKS, changes)
    assert row == Changed("high tones lost", tracks=3, moved=1, right=1, right_before=2)
    assert "| high tones lost | 1 (33.3%) | 2 | 1 |" in _changed([row])
    assert _changed([]) == ""


def test_every_track_is_told_of() -> None:
    told: list[None] = []
    robustness(high_or_low, FRONT_END, TRACKS, {}, lambda: told.append(None))
    assert len(told) == len(TRACKS)


@pytest.mark.parametrize("name", CHANGES)
def test_changes_keep_the_tone_and_the_rate(name: str) -> None:
    before = tone(1000.0)
    after = CHANGES[name](before, RATE)
    assert after.dtype == np.float32
    assert np.abs(after).max() <= 1.05
    expected = len(before) - (round(0.5 * RATE) if "later" in name else 0)
    assert len(after) == pytest.approx(expected, abs=2500)
    middle = after[RATE : 2 * RATE]
    assert np.abs(np.fft.rfft(middle)).argmax() == 1000


def test_levels_change_as_named() -> None:
    quiet = CHANGES["-20 dB"](tone(1000.0), RATE)
    assert np.abs(quiet).max() == pytest.approx(0.04, rel=1e-3)


def test_a_low_pass_takes_what_lies_above() -> None:
    gone = CHANGES["low-pass 8 kHz"](tone(10_000.0), RATE)
    assert np.abs(gone[2000:]).max() < 0.1


def test_sounds_that_are_no_music() -> None:
    found = sounds(high_or_low, FRONT_END, ("low", "high"))
    assert {s.name: s.genre for s in found}["tone of 440 Hz"] == "low"
    assert {s.name: s.genre for s in found}["tone of 3 kHz"] == "high"
    assert all(s.confidence == pytest.approx(0.9) or "sweep" in s.name for s in found)
    assert "| tone of 440 Hz | low | 90% |" in _sounds(found)
