from __future__ import annotations

import numpy as np
import pytest

from serve.audio.frontend import FrontEnd
from serve.audio.mel import Float32
from train.data import sounds
from train.data.sounds import Sounds

FRONT_ENDS = (FrontEnd(), FrontEnd(sample_rate=16_000, f_max=8000.0, n_fft=1024, hop_length=512))


def made(of: Sounds, clips: int) -> Float32:
    return np.stack([of[number] for number in range(clips)])


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_the_family_fits_the_front_end_and_repeats(front_end: FrontEnd) -> None:
    family = Sounds(front_end, seed=3)
    mel = made(family, 40)
    assert mel.shape == (40, *front_end.clip_shape)
    assert mel.dtype == np.float32
    assert np.isfinite(mel).all()
    assert (mel >= 0).all()
    np.testing.assert_array_equal(mel, made(family, 40))
    assert (mel != made(Sounds(front_end, seed=4), 40)).any()


def test_a_clip_is_the_same_whenever_it_is_asked_for() -> None:
    forwards = made(Sounds(FrontEnd(), seed=1, clips=20), 20)
    backwards = Sounds(FrontEnd(), seed=1, clips=20)
    for number in reversed(range(len(backwards))):
        np.testing.assert_array_equal(backwards[number], forwards[number])


def test_a_twentieth_is_silence_and_no_two_others_are_alike() -> None:
    mel = made(Sounds(FrontEnd(), seed=1), 60)
    peak = mel.max(axis=(1, 2))
    assert (peak == 0.0).sum() == 3
    level = mel[peak > 0] / peak[peak > 0, None, None]
    apart = np.abs(level[:, None] - level[None]).max(axis=(2, 3)) + np.eye(len(level))
    assert apart.min() > 1e-2


@pytest.mark.parametrize("rate", [16_000, 22_050])
def test_named_sounds_are_what_they_are_called(rate: int) -> None:
    named = sounds.named(rate)
    assert sum("never trained on" in name for name in named) == 3
    for name, samples in named.items():
        assert samples.shape == (10 * rate,), name
        assert samples.dtype == np.float32
        assert 1e-4 < np.abs(samples).max() <= 1.0, name
        np.testing.assert_array_equal(samples, sounds.named(rate)[name])
    spectrum = {name: np.abs(np.fft.rfft(samples)) ** 2 for name, samples in named.items()}
    hz = np.fft.rfftfreq(10 * rate, 1 / rate)
    assert hz[spectrum["tone of 440 Hz"].argmax()] == pytest.approx(440.0)
    assert hz[spectrum["tone of 3 kHz"].argmax()] == pytest.approx(3000.0)

    def share(name: str, low: float, high: float) -> float:
        power = spectrum[name]
        return float(power[(hz >= low) & (hz < high)].sum() / power.sum())

    assert share("siren (never trained on)", 480.0, 1520.0) > 0.99
    assert share("speech-like noise (never trained on)", 0.0, 1100.0) > 0.98
    assert share("rain (never trained on)", 1200.0, rate) > 0.9
    assert share("brown noise", 0.0, 50.0) > 0.9
    assert share("white noise", 0.0, rate / 4) == pytest.approx(0.5, abs=0.02)
    assert share("voice-like pulses", 150.0, 4500.0) > 0.6
