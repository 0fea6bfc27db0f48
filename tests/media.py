"""Encoded audio for the tests, made with the same FFmpeg that the server carries."""

from __future__ import annotations

import io
import tempfile
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Encoding:
    """A container and codec that people have."""

    name: str
    container: str
    codec: str
    rate: int = 44_100
    layout: str = "stereo"
    sample_format: str | None = None
    bit_rate: int | None = None
    options: dict[str, str] = field(default_factory=dict)
    lossless: bool = False
    experimental: bool = False


def music(
    seconds: float, rate: int = 44_100, channels: int = 2, seed: int = 0
) -> NDArray[np.float32]:
    """A chord with a beat and some noise, (channels, samples), peak about 0.5."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate)) / rate
    beat = np.exp(-6.0 * (t % 0.5))
    chord = sum(
        np.sin(2 * np.pi * f * t) / (i + 1) for i, f in enumerate((220.0, 277.2, 329.6, 440.0))
    )
    mono = 0.18 * chord * (0.4 + beat) + 0.02 * beat * rng.standard_normal(len(t))
    return np.stack([mono * (1.0 - 0.1 * c) for c in range(channels)]).astype(np.float32)


def encode(samples: NDArray[np.float32], encoding: Encoding) -> bytes:
    """Encode (channels, samples) float32 at the encoding's rate; channels as in its layout."""
    with tempfile.TemporaryDirectory() as folder:
        # A real file: the muxer opens it again by name to put an index in front.
        path = Path(folder, "media")
        _write(path, samples, encoding)
        return path.read_bytes()


def _write(path: Path, samples: NDArray[np.float32], encoding: Encoding) -> None:
    with av.open(str(path), "w", format=encoding.container, options=encoding.options) as out:
        stream = out.add_stream(encoding.codec, rate=encoding.rate)
        assert isinstance(stream, av.AudioStream)
        stream.layout = encoding.layout
        if encoding.sample_format:
            stream.format = encoding.sample_format
        if encoding.bit_rate:
            stream.bit_rate = encoding.bit_rate
        if encoding.experimental:
            stream.codec_context.options = {"strict": "experimental"}
        stream.time_base = Fraction(1, encoding.rate)
        step = 1 << 16
        for start in range(0, samples.shape[1], step):
            part = np.ascontiguousarray(samples[:, start : start + step])
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=encoding.layout)
            frame.sample_rate = encoding.rate
            frame.pts = start
            frame.time_base = Fraction(1, encoding.rate)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


INDEX_FIRST = {"movflags": "+faststart"}

ENCODINGS = (
    Encoding("wav-u8", "wav", "pcm_u8", lossless=False),
    Encoding("wav-s16", "wav", "pcm_s16le", lossless=True),
    Encoding("wav-s24", "wav", "pcm_s24le", rate=48_000, lossless=True),
    Encoding("wav-s32", "wav", "pcm_s32le", rate=96_000, lossless=True),
    Encoding("wav-f32", "wav", "pcm_f32le", rate=192_000, lossless=True),
    Encoding("wav-f64", "wav", "pcm_f64le", layout="mono", lossless=True),
    Encoding("wav-mulaw-8k", "wav", "pcm_mulaw", rate=8_000, layout="mono"),
    Encoding("wav-s16-5.1", "wav", "pcm_s16le", rate=48_000, layout="5.1", lossless=True),
    Encoding("wav-adpcm", "wav", "adpcm_ima_wav", rate=22_050, layout="mono"),
    Encoding("aiff", "aiff", "pcm_s16be", lossless=True),
    Encoding("au", "au", "pcm_s16be", rate=22_050, layout="mono", lossless=True),
    Encoding("flac", "flac", "flac", lossless=True),
    Encoding("flac-24-96k", "flac", "flac", rate=96_000, sample_format="s32", lossless=True),
    Encoding("flac-in-ogg", "ogg", "flac", lossless=True),
    Encoding("alac", "ipod", "alac", lossless=True),
    Encoding("wavpack", "wv", "wavpack", lossless=True),
    Encoding("mp3", "mp3", "libmp3lame", bit_rate=128_000),
    Encoding("mp3-mono-16k", "mp3", "libmp3lame", rate=16_000, layout="mono", bit_rate=32_000),
    Encoding("vorbis", "ogg", "vorbis", experimental=True),
    Encoding("opus-ogg", "ogg", "libopus", rate=48_000, bit_rate=96_000),
    Encoding("opus-webm", "webm", "libopus", rate=48_000, bit_rate=128_000),
    Encoding("opus-mkv-5.1", "matroska", "libopus", rate=48_000, layout="5.1", bit_rate=256_000),
    Encoding("m4a-index-last", "ipod", "aac", bit_rate=128_000),
    Encoding("m4a-index-first", "ipod", "aac", bit_rate=128_000, options=INDEX_FIRST),
    Encoding(
        "m4a-fragmented",
        "mp4",
        "aac",
        bit_rate=128_000,
        options={"movflags": "+frag_keyframe+empty_moov+default_base_moof"},
    ),
    Encoding("m4a-5.1", "ipod", "aac", rate=48_000, layout="5.1", bit_rate=256_000),
    Encoding("aac-adts", "adts", "aac", bit_rate=128_000),
    Encoding("ac3", "ac3", "ac3", rate=48_000, layout="5.1", bit_rate=384_000),
    Encoding("wma", "asf", "wmav2", bit_rate=128_000),
    Encoding("mpeg-ts", "mpegts", "aac", bit_rate=128_000),
)


class Bytes:
    """Media that has arrived already; counts how often it was asked for as a whole."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._file = io.BytesIO(content)
        self.wholes = 0

    def read(self, size: int) -> bytes:
        return self._file.read(size)

    def whole(self) -> io.BytesIO:
        self.wholes += 1
        return io.BytesIO(self._content)


def by_name(name: str) -> Encoding:
    """One of ENCODINGS."""
    return next(encoding for encoding in ENCODINGS if encoding.name == name)
