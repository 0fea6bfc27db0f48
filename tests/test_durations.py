"""Durations in the texts of errors."""

import pytest

from serve.durations import spoken


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.25, "0.25 s"), (29, "29 s"), (59, "59 s"), (60, "1 min"), (600, "10 min"),
        (601, "10 min 1 s"), (3600, "1 h"), (3723, "1 h 2 min 3 s"), (7203.4, "2 h 3 s"),
    ],
)  # fmt: skip
def test_spoken(seconds: float, words: str) -> None:
    assert spoken(seconds) == words
