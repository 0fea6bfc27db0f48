"""The picture of a spectrogram: its size, its numbers, and that it is bounded."""

import base64

import numpy as np
import pytest

from serve.answer import MAX_BANDS, MAX_COLUMNS
from serve.audio.frontend import FrontEnd
from serve.audio.picture import mel_picture


def pixels_of(picture):
    values = np.frombuffer(base64.b64decode(picture.pixels), np.uint8)
    return values.reshape(picture.columns, picture.bands)


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((1, 16, 128), (16, 64)),
        ((3, 16, 40), (48, 40)),
        ((429, 16, 128), (MAX_COLUMNS, MAX_BANDS)),
        ((5143, 16, 96), (MAX_COLUMNS, MAX_BANDS)),
    ],
)
def test_it_is_as_large_as_it_needs_to_be_and_no_larger(shape, size):
    picture = mel_picture(np.ones(shape, np.float32))
    assert (picture.columns, picture.bands) == size
    assert pixels_of(picture).shape == size


def test_grey_values_are_decibels_below_the_loudest():
    features = np.full((1, 16, 8), 1e-6, np.float32)
    features[0, 3, 5] = 100.0  # 20 dB
    features[0, 4, 5] = 1e-2  # 40 dB less: the middle of the range
    features[0, 5, 5] = 0.0
    picture = mel_picture(features)
    assert (picture.low_db, picture.high_db) == (-60.0, 20.0)
    pixels = pixels_of(picture)
    assert pixels[3, 5] == 255
    assert abs(int(pixels[4, 5]) - 128) <= 1
    assert pixels[5, 5] == 0
    assert np.all(pixels[0] == 0)


def test_every_frame_and_band_counts_once():
    # Power that shares a pixel is averaged, before the logarithm.
    rng = np.random.default_rng(0)
    features = rng.random((61, 16, 128), np.float32)
    picture = mel_picture(features)
    decibels = pixels_of(picture) * (80.0 / 255) + picture.low_db
    frames = features.reshape(-1, 128)
    edges = np.arange(MAX_COLUMNS + 1) * len(frames) // MAX_COLUMNS
    for column in (0, 1, 400, MAX_COLUMNS - 1):
        mean = frames[edges[column] : edges[column + 1]].mean(axis=0).reshape(64, 2).mean(axis=1)
        np.testing.assert_allclose(decibels[column], 10 * np.log10(mean), atol=0.21)


def test_silence_is_a_picture_too():
    picture = mel_picture(np.zeros((2, *FrontEnd().clip_shape), np.float32))
    assert np.isfinite(picture.high_db)
    assert len(set(picture.pixels)) > 0


def test_the_features_stay_as_they_are():
    features = np.random.default_rng(1).random((80, 16, 128), np.float32)
    before = features.copy()
    mel_picture(features)
    np.testing.assert_array_equal(features, before)
