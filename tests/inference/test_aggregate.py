import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from serve.errors import Internal
from serve.inference.aggregate import aggregate

GENRES = ("blues", "jazz", "rock")


def test_the_mean_of_the_clips_decides():
    verdict = aggregate(
        np.array([[0.9, 0.1, 0.0], [0.0, 0.6, 0.4], [0.0, 0.65, 0.35]], np.float32), GENRES
    )
    assert verdict.top == "jazz"
    assert verdict.results == {"jazz": 45.0, "blues": 30.0, "rock": 25.0}
    assert list(verdict.results) == ["jazz", "blues", "rock"]
    assert verdict.clips == (("blues", 0.9), ("jazz", 0.6), ("jazz", 0.65))


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_no_number_is_no_answer(wrong):
    probabilities = np.full((4, 3), 1 / 3, np.float32)
    probabilities[2, 1] = wrong
    with pytest.raises(Internal, match="no numbers"):
        aggregate(probabilities, GENRES)


@pytest.mark.parametrize("clips", [1, 3])
def test_a_tie_goes_to_the_first_genre(clips):
    verdict = aggregate(np.full((clips, 3), 1 / 3, np.float32), GENRES)
    assert verdict.top == "blues"
    assert verdict.results == {"blues": 33.34, "jazz": 33.33, "rock": 33.33}


@given(
    arrays(np.float32, (5, 10), elements=st.floats(0, 1, width=32)).filter(lambda a: a.sum() > 0)
)
def test_percentages_sum_to_a_hundred_highest_first(raw):
    rows = raw + np.float32(1e-6)
    rows /= rows.sum(axis=1, keepdims=True)
    names = tuple("abcdefghij")
    verdict = aggregate(rows, names)
    shares = list(verdict.results.values())
    assert set(verdict.results) == set(names)
    assert round(sum(shares), 9) == 100
    assert shares == sorted(shares, reverse=True)
    assert verdict.top == next(iter(verdict.results))
    mean = rows.mean(axis=0, dtype=np.float64)
    for name, share in verdict.results.items():
        assert abs(share - 100 * mean[names.index(name)]) < 0.02
