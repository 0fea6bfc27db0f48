import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from serve.answer import Clip, Tag
from serve.errors import Internal
from serve.inference.aggregate import aggregate
from serve.inference.card import ModelCard
from serve.inference.outputs import Outputs

GENRES = ("blues", "jazz", "rock")
TAGS, SOUNDS = ("Techno", "Choir", "Salsa music"), ("Speech", "Rain")


def card(genres=GENRES, tags=TAGS, sounds=SOUNDS, sharpness=1.0):
    return ModelCard("m", "1", {}, genres, tags, sounds, sharpness=sharpness)


def geometric(rows, weights, sharpness=1.0):
    """The weighted geometric mean of rows to a power, in percent."""
    logs = np.log(np.maximum(np.asarray(rows, np.float64), 1e-6))
    power = np.exp(sharpness * np.average(logs, axis=0, weights=weights))
    return 100 * power / power.sum()


def clips(probabilities, music=None, tags=None):
    rows = np.asarray(probabilities, np.float32)
    return Outputs(
        rows,
        np.asarray(np.ones(len(rows)) if music is None else music, np.float32),
        np.asarray(np.zeros((len(rows), 5)) if tags is None else tags, np.float32),
    )


CLIP_S = 1.4
THREE = [[0.9, 0.08, 0.02], [0.05, 0.55, 0.4], [0.05, 0.6, 0.35]]


def assert_shares(verdict, expected):
    found = [verdict.results[genre] for genre in GENRES]
    np.testing.assert_allclose(found, expected, atol=0.011)


def test_the_mean_of_the_clips_decides():
    verdict = aggregate(clips(THREE), card(), CLIP_S)
    assert_shares(verdict, geometric(THREE, [1, 1, 1]))
    assert list(verdict.results) == ["jazz", "rock", "blues"]
    assert verdict.top == "jazz"
    assert verdict.timeline == (
        Clip(0.0, "blues", 0.9, 1.0),
        Clip(1.4, "jazz", 0.55, 1.0),
        Clip(2.8, "jazz", 0.6, 1.0),
    )
    assert verdict.clips.genres == card().genres
    assert verdict.clips.percent[1] == (5.0, 55.0, 40.0)
    assert verdict.music == 1.0


def test_a_model_says_how_much_surer_a_track_is_than_its_clips():
    soft, sharp = (aggregate(clips(THREE), card(sharpness=s), CLIP_S) for s in (1.0, 3.0))
    assert_shares(sharp, geometric(THREE, [1, 1, 1], 3.0))
    assert list(sharp.results) == list(soft.results)
    assert sharp.results["jazz"] > soft.results["jazz"]


def test_clips_count_as_much_as_they_are_music():
    verdict = aggregate(clips(THREE, [1.0, 0.5, 0.5]), card(), CLIP_S)
    assert_shares(verdict, geometric(THREE, [1.0, 0.5, 0.5]))
    assert verdict.music == pytest.approx(2 / 3, abs=1e-4)


def test_a_talking_intro_does_not_count():
    verdict = aggregate(clips(THREE, [0.49, 0.9, 0.9]), card(), CLIP_S)
    assert_shares(verdict, geometric(THREE[1:], [1, 1]))
    assert verdict.timeline[0] == Clip(0.0, "blues", 0.9, 0.49)


def test_when_nothing_is_music_all_clips_count_alike():
    verdict = aggregate(clips(THREE, [0.4, 0.0, 0.1]), card(), CLIP_S)
    assert verdict.results == aggregate(clips(THREE), card(), CLIP_S).results
    assert verdict.music < 0.5


def test_tags_are_those_of_the_music():
    heard = [[0.9, 0.0, 0.0, 0.9, 0.0], [0.1, 0.3, 0.02, 0.8, 0.0]]
    talk_first = aggregate(clips(THREE[:2], [0.2, 0.9], heard), card(), CLIP_S)
    assert talk_first.music >= 0.5
    assert talk_first.tags == (Tag("Choir", 0.3), Tag("Techno", 0.1))


def test_what_is_not_music_is_told_by_its_sound():
    heard = [[0.9, 0.0, 0.0, 0.9, 0.0], [0.1, 0.3, 0.04, 0.7, 0.2]]
    verdict = aggregate(clips(THREE[:2], [0.2, 0.6], heard), card(), CLIP_S)
    assert verdict.music < 0.5
    assert verdict.tags == (Tag("Speech", 0.8), Tag("Rain", 0.1))


def test_at_most_five_tags():
    tags = tuple("abcdefgh")
    heard = np.linspace(0.1, 0.9, 8)[None]
    verdict = aggregate(clips(THREE[:1], [1.0], heard), card(tags=tags, sounds=()), CLIP_S)
    assert [tag.tag for tag in verdict.tags] == ["h", "g", "f", "e", "d"]


def test_a_model_may_know_no_tags():
    verdict = aggregate(clips(THREE, None, np.empty((3, 0))), card(tags=(), sounds=()), CLIP_S)
    assert verdict.tags == ()


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_no_number_is_no_answer(wrong):
    probabilities = np.full((4, 3), 1 / 3, np.float32)
    probabilities[2, 1] = wrong
    with pytest.raises(Internal, match="no numbers"):
        aggregate(clips(probabilities), card(), CLIP_S)


def test_music_that_is_no_number_is_no_answer():
    with pytest.raises(Internal, match="no numbers"):
        aggregate(clips(THREE, [0.9, np.nan, 0.9]), card(), CLIP_S)


@pytest.mark.parametrize("count", [1, 3])
def test_a_tie_goes_to_the_first_genre(count):
    verdict = aggregate(clips(np.full((count, 3), 1 / 3)), card(), CLIP_S)
    assert verdict.top == "blues"
    assert verdict.results == {"blues": 33.34, "jazz": 33.33, "rock": 33.33}


@given(
    arrays(np.float32, (5, 10), elements=st.floats(0, 1, width=32)).filter(lambda a: a.sum() > 0),
    arrays(np.float32, 5, elements=st.floats(0, 1, width=32)),
)
def test_percentages_sum_to_a_hundred_highest_first(raw, music):
    rows = raw + np.float32(1e-6)
    rows /= rows.sum(axis=1, keepdims=True)
    names = tuple("abcdefghij")
    verdict = aggregate(clips(rows, music), card(genres=names), CLIP_S)
    shares = list(verdict.results.values())
    assert set(verdict.results) == set(names)
    assert round(sum(shares), 9) == 100
    assert shares == sorted(shares, reverse=True)
    assert verdict.top == next(iter(verdict.results))
    weights = np.where(music >= 0.5, music, 0.0)
    expected = geometric(rows, weights if weights.any() else np.ones(len(rows)))
    for name, share in verdict.results.items():
        assert abs(share - expected[names.index(name)]) < 0.02
