from __future__ import annotations

import numpy as np
import pytest

from tests.outputs import said
from train.data.tracks import Track
from train.scoring.measures import by_length, per_genre, reliability
from train.scoring.scores import TrackOutputs


def test_precision_and_recall() -> None:
    found = per_genre([[3, 1, 0], [1, 1, 0], [0, 0, 0]], ("a", "b", "c"))
    assert [(g.tracks, g.precision, g.recall) for g in found] == [
        (4, 0.75, 0.75),
        (2, 0.5, 0.5),
        (0, None, None),
    ]


@pytest.mark.parametrize(
    ("confidence", "right", "ece"),
    [
        ([0.9] * 10, 9, 0.0),
        ([0.9] * 10, 4, 0.5),
        ([1.0] * 4, 4, 0.0),
        ([0.65, 0.65, 0.95, 0.95], 4, 0.2),
    ],
)
def test_calibration_error(confidence: list[float], right: int, ece: float) -> None:
    probabilities = np.array([[c, 1.0 - c] for c in confidence], np.float32)
    labels = np.array([0] * right + [1] * (len(confidence) - right))
    found = reliability(probabilities, labels)
    assert found.ece == pytest.approx(ece, abs=1e-6)
    assert sum(found.count) == len(confidence)


def test_accuracy_by_length_takes_every_window() -> None:
    # Three of four clips are right, alone; any two together are, and all four.
    right, wrong = [0.9, 0.1], [0.2, 0.8]
    clips = np.array([right, wrong, right, right], np.float32)
    answer = TrackOutputs(Track("a.1", "a", "valid"), 0, said(clips))
    found = {score.clips: score.accuracy for score in by_length([answer])}
    assert found == {1: 0.75, 2: 1.0, 3: 1.0, 4: 1.0}
