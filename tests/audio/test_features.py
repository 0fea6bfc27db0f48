"""The stream of samples to clips: how it is cut does not matter, and its ends are right."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve.audio.features import FeatureStream
from serve.audio.frontend import FrontEnd
from serve.audio.mel import MelSpectrogram
from serve.errors import Silent, TooLong, TooShort

# A small front end, so that many streams can be tried.
FRONT_END = FrontEnd(
    sample_rate=8000, clip_samples=1000, n_fft=256, hop_length=128, n_mels=20, f_max=4000.0
)
MEL = MelSpectrogram(FRONT_END)
MAX_S = 3.0
NOISE = np.random.default_rng(0).standard_normal(40_000).astype(np.float32)


def features(samples, cuts=(), max_s=MAX_S):
    out = np.full((FeatureStream.capacity(FRONT_END, max_s), *FRONT_END.clip_shape), 7.0, "f4")
    stream = FeatureStream(MEL, out, max_s)
    for block in np.split(samples, sorted(cuts)):
        stream.push(block)
    extent = stream.finish()
    return out, extent


@settings(deadline=None, max_examples=60)
@given(st.integers(500, 24_000), st.lists(st.integers(0, 24_000), max_size=30))
def test_features_do_not_depend_on_how_the_stream_was_cut(length, cuts):
    samples = NOISE[:length]
    whole, extent = features(samples)
    cut, cut_extent = features(samples, [min(cut, length) for cut in cuts])
    assert cut_extent == extent
    np.testing.assert_array_equal(cut, whole)


@settings(deadline=None, max_examples=60)
@given(st.integers(500, 24_000))
def test_every_clip_is_that_of_the_clip_alone(length):
    samples = NOISE[:length]
    out, extent = features(samples)
    assert extent.clips == FRONT_END.clips_in(length)
    assert extent.duration_s == length / 8000
    for n in range(extent.clips):
        clip = samples[1000 * n : 1000 * (n + 1)]
        clip = np.pad(clip, (0, 1000 - len(clip)))
        np.testing.assert_array_equal(out[n], MEL(clip[None])[0])
    assert (out[extent.clips :] == 7.0).all()


@pytest.mark.parametrize("length", [0, 1, 499])
def test_less_than_half_a_clip_is_too_short(length):
    with pytest.raises(TooShort, match=r"0\.06 s"):
        features(NOISE[:length])


def test_half_a_clip_is_enough():
    assert features(NOISE[:500])[1].clips == 1


def test_the_limit_is_inclusive_and_allows_for_padding():
    limit = int(MAX_S * 8000)
    assert features(NOISE[:limit])[1].duration_s == MAX_S
    assert features(NOISE[: limit + 8000])[1].clips == 32
    with pytest.raises(TooLong, match="3 s"):
        features(NOISE[: limit + 8001])


@pytest.mark.parametrize("level", [0.0, 6e-5, -6e-5])
def test_what_nobody_can_hear_is_silent(level):
    with pytest.raises(Silent):
        features(np.full(4000, level, np.float32))


def test_a_quiet_track_is_not_silent():
    samples = np.zeros(4000, np.float32)
    samples[3999] = -2e-4
    assert features(samples)[1].clips == 4
