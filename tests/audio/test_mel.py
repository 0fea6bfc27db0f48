"""The mel spectrogram against librosa, and its independence of a clip's company."""

from pathlib import Path

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve.audio.decode import decode
from serve.audio.frontend import FrontEnd
from serve.audio.mel import MelSpectrogram, hz_to_mel, mel_filterbank, mel_to_hz
from tests.media import Bytes

# librosa warns of bands without a bin, one case has them.
pytestmark = pytest.mark.filterwarnings("ignore:Empty filters detected")

SONG = Path(__file__).parents[1] / "data" / "song.mp3"

FRONT_ENDS = {
    "shipped": FrontEnd(),
    "hop 512": FrontEnd(hop_length=512),
    "htk, 16 kHz, 96 bands": FrontEnd(
        sample_rate=16_000,
        clip_samples=22_400,
        n_fft=512,
        hop_length=256,
        n_mels=96,
        f_max=8000.0,
        mel_scale="htk",
        mel_norm="none",
    ),
    "44.1 kHz, from 30 Hz": FrontEnd(
        sample_rate=44_100, clip_samples=61_740, hop_length=1024, f_min=30.0, f_max=16_000.0
    ),
    "frame not a power of two": FrontEnd(n_fft=1200, hop_length=300, n_mels=40),
    "more bands than bins": FrontEnd(n_fft=64, hop_length=640),
}


def clips_of(samples, front_end):
    whole = len(samples) // front_end.clip_samples
    return samples[: whole * front_end.clip_samples].reshape(whole, -1)


@pytest.fixture(scope="module", params=["song", "noise"])
def kind(request):
    return request.param


def samples(kind, sample_rate):
    if kind == "song":
        return np.concatenate(list(decode(Bytes(SONG.read_bytes()), sample_rate)))
    return np.random.default_rng(1).standard_normal(8 * sample_rate).astype(np.float32)


def assert_close(found, expected):
    """Cell by cell, as amplitudes, beside the frame's loudest: no other scale is float32's."""
    loudest = np.sqrt(expected.max(axis=2, keepdims=True))
    assert np.max(np.abs(np.sqrt(found) - np.sqrt(expected)) / loudest) < 1e-6


@pytest.mark.parametrize("front_end", FRONT_ENDS.values(), ids=FRONT_ENDS)
def test_it_equals_librosa(kind, front_end):
    clips = clips_of(samples(kind, front_end.sample_rate), front_end)
    expected = librosa.feature.melspectrogram(
        y=clips.astype(np.float64),
        sr=front_end.sample_rate,
        n_fft=front_end.n_fft,
        hop_length=front_end.hop_length,
        center=False,
        power=2.0,
        n_mels=front_end.n_mels,
        fmin=front_end.f_min,
        fmax=front_end.f_max,
        htk=front_end.mel_scale == "htk",
        norm="slaney" if front_end.mel_norm == "slaney" else None,
    ).transpose(0, 2, 1)
    found = MelSpectrogram(front_end)(clips)
    assert found.shape == expected.shape == (len(clips), *front_end.clip_shape)
    assert found.dtype == np.float32
    error = np.abs(found - expected)
    assert np.all(error.sum(axis=2) <= 1e-6 * expected.sum(axis=2))
    assert_close(found, expected)


@pytest.mark.parametrize("front_end", FRONT_ENDS.values(), ids=FRONT_ENDS)
def test_the_filterbank_equals_librosa(front_end):
    expected = librosa.filters.mel(
        sr=front_end.sample_rate,
        n_fft=front_end.n_fft,
        n_mels=front_end.n_mels,
        fmin=front_end.f_min,
        fmax=front_end.f_max,
        htk=front_end.mel_scale == "htk",
        norm="slaney" if front_end.mel_norm == "slaney" else None,
    ).T
    np.testing.assert_allclose(mel_filterbank(front_end), expected, rtol=1e-5, atol=1e-9)


SHORT = FrontEnd(
    n_fft=720, win_length=551, hop_length=441, n_mels=115, f_max=10_775.5,
    mel_scale="htk", mel_norm="none", mel_slopes="mel",
)  # fmt: skip


def test_slopes_over_mel_are_kaldis():
    bins = 1127.0 * np.log(1.0 + np.arange(361) * 22_050 / 720 / 700.0)
    edges = np.linspace(0.0, 1127.0 * np.log(1.0 + 10_775.5 / 700.0), 117)
    step = edges[1]
    # As in MelBanks of kaldi/src/feat/mel-computations.cc.
    expected = [
        np.maximum(0.0, np.minimum(bins - edges[n], edges[n + 2] - bins)) / step for n in range(115)
    ]
    np.testing.assert_allclose(mel_filterbank(SHORT), np.stack(expected, 1), rtol=1e-4, atol=1e-6)


def test_a_short_window_is_followed_by_zeros(kind):
    clips = clips_of(samples(kind, 22_050), SHORT)[:3]
    frames = np.lib.stride_tricks.sliding_window_view(clips.astype(np.float64), 551, axis=1)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(551) / 551)
    spectrum = np.fft.rfft(frames[:, ::441] * window, 720)
    expected = np.square(np.abs(spectrum)) @ mel_filterbank(SHORT).astype(np.float64)
    found = MelSpectrogram(SHORT)(clips)
    assert found.shape == (3, 69, 115)
    assert_close(found, expected)


@pytest.mark.parametrize("scale", ["slaney", "htk"])
def test_mel_scales_are_inverted(scale):
    hz = np.linspace(0.0, 11_025.0, 500)
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(hz, scale), scale), hz, atol=1e-6)


CLIPS = clips_of(samples("song", 22_050), FrontEnd())


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, len(CLIPS) - 1), min_size=1, max_size=40))
def test_a_clip_does_not_depend_on_its_company(chosen):
    mel = MelSpectrogram(FrontEnd())
    together = mel(CLIPS[chosen])
    for row, clip in zip(together, chosen, strict=True):
        np.testing.assert_array_equal(row, mel(CLIPS[clip : clip + 1])[0])


def test_silence_is_zero_power():
    assert not MelSpectrogram(FrontEnd())(np.zeros((3, 30_870), np.float32)).any()


def test_no_clips_are_no_features():
    empty = MelSpectrogram(FrontEnd())(np.zeros((0, 30_870), np.float32))
    assert empty.shape == (0, 16, 128)


def test_it_writes_into_the_array_it_is_given():
    mel = MelSpectrogram(FrontEnd())
    out = np.full((len(CLIPS) + 2, 16, 128), -1.0, np.float32)
    mel.into(CLIPS, out[1:-1])
    np.testing.assert_array_equal(out[1:-1], mel(CLIPS))
    assert (out[0] == -1).all()
    assert (out[-1] == -1).all()


@pytest.mark.parametrize(
    "laid_out",
    [np.asfortranarray, lambda clips: np.repeat(clips, 2, axis=1)[:, ::2], np.float64],
    ids=["column by column", "every second number", "float64"],
)
def test_clips_may_lie_in_memory_anyhow(laid_out):
    mel = MelSpectrogram(FrontEnd())
    np.testing.assert_array_equal(mel(laid_out(CLIPS[:3])), mel(CLIPS[:3]))


@pytest.mark.parametrize("samples", [15_435, 61_740])
def test_clips_of_another_length_are_refused(samples):
    with pytest.raises(ValueError, match="broadcast"):
        MelSpectrogram(FrontEnd())(np.zeros((2, samples), np.float32))


def test_an_array_with_gaps_is_filled():
    mel = MelSpectrogram(FrontEnd())
    out = np.full((9, 17, 128), -1.0, np.float32)
    mel.into(CLIPS[:6], out[:6, :16])
    np.testing.assert_array_equal(out[:6, :16], mel(CLIPS[:6]))
    assert (out[:, 16] == -1).all()
