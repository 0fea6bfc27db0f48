"""Teachers trained on AudioSet, and their front end.

The teachers are like EfficientAT's (Schmid et al. 2023): a convolutional network from a log mel
spectrogram (n, 128 bands, frames, 1) through global average pooling to logits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import scipy.fft
import tensorflow as tf
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from serve.audio.frontend import FrontEnd
from serve.audio.mel import Float32
from train.errors import DataError

#: The front end at 22,050 Hz that is closest to theirs: their bands up to the Nyquist frequency,
#: windows of 25 ms, 10 ms apart, and an FFT with the same bin spacing. With frames 20 ms apart, at
#: half the cost, the adapted network had 2 fewer tracks of 100 right (artist-grouped folds, GTZAN).
AT_22_050_HZ = FrontEnd(
    n_fft=720,
    win_length=551,
    hop_length=220,
    n_mels=115,
    f_max=10_775.52,
    mel_scale="htk",
    mel_norm="none",
    mel_slopes="mel",
)
SAMPLE_RATE = 32_000
BANDS = 128
_F_MAX = 15_000.0
_N_FFT, _WINDOW, _HOP = 1024, 800, 320
PRE_EMPHASIS = np.float32(0.97)
#: Added to the power before the logarithm, whose result is then scaled by mean and deviation.
FLOOR, MEAN, DEVIATION = 1e-5, -4.5, 5.0


def window() -> NDArray[np.float64]:
    """A frame's window, without zero padding."""
    return np.hanning(_WINDOW)


def _mel(hz: Any) -> Any:
    return 1127.0 * np.log(1.0 + hz / 700.0)


def _edges() -> NDArray[np.float64]:
    return np.linspace(0.0, _mel(_F_MAX), BANDS + 2)


def centres_hz() -> NDArray[np.float64]:
    """The centre of each band in Hz."""
    hz: NDArray[np.float64] = 700.0 * (np.exp(_edges()[1:-1] / 1127.0) - 1.0)
    return hz


class LogMel:
    """The teachers' own front end: EfficientAT's `AugmentMelSTFT` in evaluation mode.

    Pre-emphasis, centred frames, Kaldi's mel bands (triangles of equal height, linear in mel),
    and a logarithm scaled to about -1 to 1.
    """

    def __init__(self) -> None:
        edges = _edges()
        bins = _mel(np.arange(_N_FFT // 2 + 1) * SAMPLE_RATE / _N_FFT)
        slopes = (bins[:, None] - edges) / (edges[1] - edges[0])
        bands = np.maximum(0.0, np.minimum(slopes[:, :-2], 1.0 - slopes[:, 1:-1]))
        bands[-1] = 0.0  # Kaldi leaves out the bin at half the sample rate
        self._filterbank = bands.astype(np.float32)
        self._window = np.zeros(_N_FFT, np.float32)
        start = (_N_FFT - _WINDOW) // 2
        self._window[start : start + _WINDOW] = window()

    def __call__(self, clips: Float32) -> Float32:
        """The teacher's input (n, bands, frames, 1) of samples (n, samples) at SAMPLE_RATE."""
        sharpened = clips[:, 1:] - PRE_EMPHASIS * clips[:, :-1]
        half = _N_FFT // 2
        padded = np.pad(sharpened, ((0, 0), (half, half)), mode="reflect")
        frames = sliding_window_view(padded, _N_FFT, axis=1)[:, ::_HOP] * self._window
        spectrum = scipy.fft.rfft(frames)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        log_mel: Float32 = (np.log(power @ self._filterbank + FLOOR) - MEAN) / DEVIATION
        return log_mel.transpose(0, 2, 1)[..., None]


def load(path: Path) -> keras.Model:
    """A teacher from its file, with outputs embedding (n, features) and logits (n, classes).

    The embedding is the output of its last global pooling. Raises DataError if it is no teacher.
    """
    try:
        model = keras.models.load_model(path, compile=False)
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path} is not a Keras model: {error}") from error
    layers = getattr(model, "layers", ())
    pools = [of for of in layers if isinstance(of, keras.layers.GlobalAveragePooling2D)]
    takes, gives = getattr(model, "input_shape", None), getattr(model, "output_shape", None)
    fits = isinstance(takes, tuple) and takes[1:] == (BANDS, None, 1)
    if not pools or not fits or not isinstance(gives, tuple) or len(gives) != 2:
        raise DataError(
            f"{path} is not a teacher: a network from (n, {BANDS} bands, any frames, 1) through "
            "global average pooling to logits"
        )
    embedding = keras.layers.Flatten(name="embedding")(pools[-1].output)
    return keras.Model(model.input, [embedding, model.output], name="teacher")


def predictor(teacher: keras.Model) -> Any:
    """A function from the teacher's input to its embedding and logits."""
    return tf.function(lambda log_mel: teacher(log_mel, training=False), reduce_retracing=True)
