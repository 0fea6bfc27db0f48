"""Encodes audio as people have it, with the FFmpeg that the server decodes with."""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import scipy.signal

from serve.audio.decode import Complete, decode
from serve.audio.mel import Float32

# Samples handed to the encoder at a time.
_STEP = 1 << 16
#: For MP4 and similar: the index before the audio, as on YouTube.
INDEX_FIRST = {"movflags": "+faststart"}


@dataclass(frozen=True, slots=True)
class Encoding:
    """A container and a codec. Names and options are FFmpeg's."""

    name: str
    container: str
    codec: str
    rate: int = 44_100
    layout: str = "stereo"
    bit_rate: int | None = None
    sample_format: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    """of the container"""
    codec_options: dict[str, str] = field(default_factory=dict)


def through_codec(samples: Float32, sample_rate: int, encoding: Encoding) -> Float32:
    """Mono samples encoded (the same in every channel), and decoded as the server does."""
    common = math.gcd(sample_rate, encoding.rate)
    resampled: Float32 = scipy.signal.resample_poly(
        samples, encoding.rate // common, sample_rate // common
    )
    channels = av.AudioLayout(encoding.layout).nb_channels
    media = encode(np.tile(resampled.astype(np.float32), (channels, 1)), encoding)
    return np.concatenate(list(decode(Complete(media), sample_rate)))


def encode(samples: Float32, encoding: Encoding) -> bytes:
    """Encode samples (channels, samples), at the encoding's rate and with its channels."""
    # A real file: to put the index first, the muxer reopens it by name.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "media")
        _write(path, samples, encoding)
        return path.read_bytes()


def _write(path: Path, samples: Float32, encoding: Encoding) -> None:
    with av.open(str(path), "w", format=encoding.container, options=encoding.options) as out:
        stream = out.add_stream(encoding.codec, rate=encoding.rate)
        assert isinstance(stream, av.AudioStream)
        stream.layout = encoding.layout
        if encoding.sample_format:
            stream.format = encoding.sample_format
        if encoding.bit_rate:
            stream.bit_rate = encoding.bit_rate
        # The only Vorbis encoder here is FFmpeg's own, which it marks as experimental.
        stream.codec_context.options = {"strict": "experimental", **encoding.codec_options}
        stream.time_base = Fraction(1, encoding.rate)
        for start in range(0, samples.shape[1], _STEP):
            part = np.ascontiguousarray(samples[:, start : start + _STEP])
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=encoding.layout)
            frame.sample_rate = encoding.rate
            frame.pts = start
            frame.time_base = Fraction(1, encoding.rate)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
