"""The measures of steadiness, on a predictor whose answers are known, and in a run's report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from serve.audio.frontend import FrontEnd
from serve.audio.mel import Float32
from serve.inference.outputs import Outputs
from tests.outputs import said
from train.__main__ import main
from train.errors import DataError
from train.evaluation.changes import CHANGES
from train.evaluation.robustness import Changed, robustness
from train.progress import counted

FRONT_END = FrontEnd()
RATE = FRONT_END.sample_rate


def tone(hz: float, seconds: float = 4.2) -> Float32:
    t = np.arange(round(seconds * RATE)) / RATE
    return (0.4 * np.sin(2 * np.pi * hz * t)).astype(np.float32)


def high_or_low(mel: Float32) -> Outputs:
    """Genre 1 where a clip's loudest band lies in the upper half, else 0, each with 0.9."""
    high = mel.mean(axis=1).argmax(axis=1) >= FRONT_END.n_mels // 2
    return said(np.where(high[:, None], [0.1, 0.9], [0.9, 0.1]), music=0.25)


TRACKS = [(0, tone(300.0)), (1, tone(5000.0)), (1, tone(300.0))]


def test_changes_that_move_nothing() -> None:
    for row in robustness(high_or_low, FRONT_END, TRACKS):
        assert (row.tracks, row.moved, row.right, row.right_before) == (3, 0, 2, 2), row.change
        assert row.drift < 1e-6


def test_a_change_that_moves_one() -> None:
    changes = {"high tones lost": lambda samples, rate: tone(300.0)}
    (row,) = robustness(high_or_low, FRONT_END, TRACKS, changes)
    assert replace(row, drift=0.0) == Changed("high tones lost", 3, 1, 1, 2, 0.0)
    assert row.drift == pytest.approx(0.8 / 3), "0.9 for high tones becomes 0.1"


def test_every_track_is_counted() -> None:
    told: list[tuple[int, int]] = []
    tracks = counted(TRACKS, lambda done, total: told.append((done, total)))
    robustness(high_or_low, FRONT_END, tracks, {})
    assert told == [(1, 3), (2, 3), (3, 3)]


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


def test_without_a_track_there_is_nothing_to_say() -> None:
    with pytest.raises(DataError, match="none of the audio files"):
        robustness(high_or_low, FRONT_END, [])


def test_the_report_of_a_run_on_audio_shows_it(
    gtzan_folder: Path,
    lists: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    places = ["--runs", str(tmp_path / "runs"), "--cache", str(tmp_path / "data")]
    short = ["--epochs", "1", "--clips-per-track", "2", "--splits", str(lists)]
    assert main([str(gtzan_folder), "--from-scratch", *places, *short]) == 0
    (run,) = (tmp_path / "runs").iterdir()
    assert main(["report", *places]) == 0
    text = (run / "report.html").read_text()
    for change in CHANGES:
        assert f'<tr><td>{change}</td><td class="n">6</td>' in text
    kept = (run / "changes.json").stat().st_mtime_ns
    assert main(["report", *places]) == 0
    assert (run / "report.html").read_text() == text
    assert (run / "changes.json").stat().st_mtime_ns == kept, "it is measured once"
    with monkeypatch.context() as fewer:
        fewer.delitem(CHANGES, "MP3 128k")
        assert main(["report", *places]) == 0
    assert "MP3 128k" not in (run / "changes.json").read_text(), "other changes are measured"
    empty = tmp_path / "other" / "noise"
    empty.mkdir(parents=True)
    (empty / "unheard.wav").write_bytes(b"")
    capsys.readouterr()
    assert main(["report", *places, "--audio", str(empty.parent)]) == 2
    assert "no audio file of the run's valid tracks" in " ".join(capsys.readouterr().err.split())
