"""Non-music sounds: a random family to train on, and named ones to test with.

The named ones are not from the family: their parameters are fixed, and the family has no sirens,
rain or syllabic noise, so these show how the model does on sounds it never heard.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.fft
import scipy.signal
from numpy.typing import NDArray

from serve.audio.frontend import FrontEnd
from serve.audio.mel import Float32, MelSpectrogram

Float64 = NDArray[np.float64]
Rng = np.random.Generator

#: Clips of the random family in a run.
CLIPS = 4000


class Sounds:
    """The random family: a seed and a number always give the same clip.

    Clips are made on first use: making all of them would delay a run by half a minute.
    """

    def __init__(self, front_end: FrontEnd, seed: int, clips: int = CLIPS) -> None:
        self._mel = MelSpectrogram(front_end)
        self._seed = seed
        self._made: list[Float32 | None] = [None] * clips

    def __len__(self) -> int:
        """The number of clips."""
        return len(self._made)

    def __getitem__(self, number: int) -> Float32:
        """Mel power (frames, mel bands) of a clip; all zeros for silence."""
        if (known := self._made[number]) is not None:
            return known
        front_end = self._mel.front_end
        rng = np.random.default_rng((self._seed, number))
        sound = _FAMILY[number % len(_FAMILY)](rng, front_end.sample_rate, front_end.clip_samples)
        made: Float32 = self._mel(sound.astype(np.float32)[None])[0]
        self._made[number] = made
        return made


def named(rate: int, seconds: float = 10.0) -> dict[str, Float32]:
    """Samples at `rate` of the sounds to test with."""
    rng = np.random.default_rng(0)
    t = np.arange(round(seconds * rate)) / rate
    white = rng.standard_normal(len(t))
    brown = np.cumsum(white)
    brown -= np.linspace(brown[0], brown[-1], len(t))
    # Speech has most of its power below 1 kHz and comes in syllables, four a second.
    low = scipy.signal.sosfilt(scipy.signal.butter(8, 1000.0, fs=rate, output="sos"), white)
    syllables = np.maximum(0.0, np.sin(2 * np.pi * 4.0 * t)) ** 0.5
    # Up and down between 500 and 1,500 Hz in four seconds.
    siren = np.cumsum(1000.0 - 500.0 * np.cos(2 * np.pi * t / 4.0)) / rate
    made = {
        "all but silence (dither)": 2e-4 * np.sign(white),
        "white noise": 0.1 * white,
        "brown noise": 0.3 * brown / np.abs(brown).max(),
        "voice-like pulses": 0.3 * _voice(rng, rate, len(t), pitch=330.0, pace=2.0),
        "tone of 440 Hz": 0.3 * np.sin(2 * np.pi * 440.0 * t),
        "tone of 3 kHz": 0.3 * np.sin(2 * np.pi * 3000.0 * t),
        "sweep": 0.3 * np.sin(2 * np.pi * (100.0 + 200.0 * t) * t),
        "speech-like noise (never trained on)": 0.3 * low * syllables,
        "siren (never trained on)": 0.3 * np.sin(2 * np.pi * siren),
        "rain (never trained on)": 0.3 * _rain(rng, rate, len(t)),
    }
    return {name: samples.astype(np.float32) for name, samples in made.items()}


def _noise(rng: Rng, rate: int, length: int) -> Float64:
    """Noise from brown to slightly blue; half of it is high-passed or low-passed."""
    # Cut from longer noise, so that a clip can hold fluctuations slower than itself.
    whole = 8 * length
    hz = np.fft.rfftfreq(whole, 1.0 / rate)
    # Amplitude over frequency: hz^0 is white, hz^-0.5 pink, hz^-1 brown.
    slope = rng.choice([rng.uniform(-1.3, 0.3), -1.0, -0.5, 0.0])
    gain = np.maximum(hz, _log_uniform(rng, 0.1, 30.0)) ** slope
    order = rng.uniform(1.0, 8.0)
    if rng.random() < 0.5:
        gain /= 1.0 + (_log_uniform(rng, 30.0, 4000.0) / np.maximum(hz, 1.0)) ** order
    if rng.random() < 0.5:
        gain /= 1.0 + (hz / _log_uniform(rng, 200.0, 10_000.0)) ** order
    shaped = scipy.fft.irfft(gain * scipy.fft.rfft(rng.standard_normal(whole)), whole)
    return _scaled(shaped[:length])


def _tones(rng: Rng, rate: int, length: int) -> Float64:
    """One to four steady inharmonic tones; a third of the clips beep."""
    t = np.arange(length) / rate
    number = int(rng.integers(1, 5))
    hz = _log_uniform(rng, 40.0, 0.45 * rate, number)
    levels = 10.0 ** rng.uniform(-1.5, 0.0, number)
    tones = levels @ np.sin(2 * np.pi * (hz[:, None] * t + rng.random((number, 1))))
    if rng.random() < 1 / 3:
        tones *= (t * rng.uniform(0.7, 6.0) + rng.random()) % 1.0 < rng.uniform(0.2, 0.8)
    return _hissing(rng, tones)


def _chirp(rng: Rng, rate: int, length: int) -> Float64:
    """A tone that glides up or down."""
    first, last = _log_uniform(rng, 60.0, 0.45 * rate, 2)
    t = np.arange(length) / rate
    glide = scipy.signal.chirp(t, first, length / rate, last, method="logarithmic")
    return _hissing(rng, np.asarray(glide))


def _clicks(rng: Rng, rate: int, length: int) -> Float64:
    """Identical clicks, regular or random, from as sparse as a clock's to as dense as a fire's."""
    every = rate / _log_uniform(rng, 1.0, 1000.0)
    number = int(length / every) + 1
    at = np.arange(number) * every if rng.random() < 0.5 else length * rng.random(number)
    impulses = np.zeros(length)
    impulses[at.astype(int) % length] = rng.random(number) ** rng.uniform(0.2, 4.0)
    decay = np.arange(round(0.02 * rate)) / (rate * _log_uniform(rng, 1e-4, 4e-3))
    click = np.exp(-decay) * rng.standard_normal(len(decay))
    return _hissing(rng, scipy.signal.fftconvolve(impulses, click)[:length])


def _hum(rng: Rng, rate: int, length: int) -> Float64:
    """Mains or motor hum with its harmonics."""
    base = rng.choice([50.0, 60.0, rng.uniform(35.0, 150.0)])
    hz = base * np.arange(1, 1 + int(rng.integers(3, 40)))
    hz = hz[hz < 0.45 * rate]
    levels = rng.random(len(hz)) * np.arange(1, 1 + len(hz)) ** -rng.uniform(0.3, 2.0)
    phases = np.arange(length) / rate * hz[:, None] + rng.random((len(hz), 1))
    return _hissing(rng, levels @ np.sin(2 * np.pi * phases))


def _near_silence(rng: Rng, rate: int, length: int) -> Float64:
    """Noise in the last bits of 16-bit audio."""
    return np.round(_noise(rng, rate, length) * rng.uniform(2.0, 6.0)) / 32768.0


def _silence(_: Rng, rate: int, length: int) -> Float64:
    return np.zeros(length)


def _speech(rng: Rng, rate: int, length: int) -> Float64:
    """A synthetic voice with random pitch and pace."""
    pitch, pace = _log_uniform(rng, 75.0, 500.0), rng.uniform(1.5, 7.0)
    return _hissing(rng, _voice(rng, rate, length, float(pitch), pace))


def _voice(rng: Rng, rate: int, length: int, pitch: float, pace: float) -> Float64:
    """Pulses at about `pitch` Hz through formants that change with each syllable, `pace` a second.

    About every fifth syllable is a hiss, and every sixth a pause.
    """
    knots = 2 + int(3 * length / rate)
    glide = np.interp(np.linspace(0, knots - 1, length), range(knots), rng.normal(0, 0.15, knots))
    pulses = np.diff(np.floor(np.cumsum(pitch * np.exp(glide)) / rate), prepend=0.0)
    source = scipy.signal.lfilter([1.0], [1.0, -0.95], pulses + 0.01 * rng.standard_normal(length))
    voice = np.zeros(length)
    start = 0
    while start < length:
        end = min(length, start + int(rate / pace * rng.uniform(0.6, 1.5)) + 1)
        if rng.random() > 1 / 6:
            if rng.random() < 1 / 5:
                hz = rng.uniform(0.4, 0.8) * rate / 2
                sound = 0.2 * _resonance(rng.standard_normal(end - start), hz, 0.1 * rate, rate)
            else:
                sound = source[start:end]
                for low, high, width in _FORMANTS:
                    sound = _resonance(sound, rng.uniform(low, high), width, rate)
                sound = _scaled(sound)
            voice[start:end] = sound * rng.uniform(0.4, 1.0) * np.hanning(end - start) ** 0.5
        start = end
    return voice


# A voice's three lowest formants: range and bandwidth in Hz (Peterson and Barney 1952).
_FORMANTS = ((250.0, 850.0, 80.0), (850.0, 2500.0, 120.0), (2400.0, 3400.0, 180.0))


def _resonance(samples: Float64, hz: float, width: float, rate: int) -> Float64:
    radius = np.exp(-np.pi * width / rate)
    angle = 2 * np.pi * min(hz, 0.45 * rate) / rate
    poles = [1.0, -2.0 * radius * np.cos(angle), radius**2]
    return np.asarray(scipy.signal.lfilter([1.0 - radius], poles, samples))


def _rain(rng: Rng, rate: int, length: int) -> Float64:
    """Hundreds of drops a second, each a short ring at its own pitch, over a hiss."""
    rain = 0.02 * rng.standard_normal(length)
    t = np.arange(round(0.01 * rate)) / rate
    for at in rng.integers(0, length - len(t), int(300 * length / rate)):
        hz, level = rng.uniform(1500.0, 0.45 * rate), rng.exponential(0.15)
        rain[at : at + len(t)] += level * np.exp(-t / 2e-3) * np.sin(2 * np.pi * hz * t)
    return _scaled(rain)


def _hissing(rng: Rng, samples: Float64) -> Float64:
    level = 10.0 ** rng.uniform(-5.0, -1.5)
    return np.asarray(_scaled(samples) + level * rng.standard_normal(len(samples)))


def _scaled(samples: Float64) -> Float64:
    peak = float(np.abs(samples).max(initial=0.0))
    return np.asarray(samples / peak) if peak else samples


def _log_uniform(rng: Rng, low: float, high: float, number: int | None = None) -> Float64:
    return np.asarray(np.exp(rng.uniform(np.log(low), np.log(high), number)))


Kind = Callable[[Rng, int, int], Float64]
_FAMILY: tuple[Kind, ...] = (
    *(_noise, _speech, _tones, _noise, _clicks, _speech, _chirp, _noise, _hum, _speech),
    *(_noise, _tones, _near_silence, _speech, _noise, _clicks, _speech, _chirp, _hum, _silence),
)
