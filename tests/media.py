"""Encoded audio for the tests: every container and codec that people have."""

from __future__ import annotations

from typing import IO

import numpy as np

from serve.audio.decode import Complete
from serve.audio.mel import Float32
from train.data.codecs import INDEX_FIRST, Encoding, encode

__all__ = [
    "CHANNELS",
    "ENCODINGS",
    "INDEX_FIRST",
    "LOSSLESS",
    "Bytes",
    "Encoding",
    "by_name",
    "encode",
    "music",
]

#: Channels of the layouts.
CHANNELS = {"mono": 1, "stereo": 2, "5.1": 6, "7.1": 8}


def music(seconds: float, rate: int = 44_100, channels: int = 2, seed: int = 0) -> Float32:
    """A chord with a beat and some noise, (channels, samples), peak about 0.5."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate)) / rate
    beat = np.exp(-6.0 * (t % 0.5))
    chord = sum(
        np.sin(2 * np.pi * f * t) / (i + 1) for i, f in enumerate((220.0, 277.2, 329.6, 440.0))
    )
    mono = 0.18 * chord * (0.4 + beat) + 0.02 * beat * rng.standard_normal(len(t))
    return np.stack([mono * (1.0 - 0.1 * c) for c in range(channels)]).astype(np.float32)


ENCODINGS = (
    Encoding("wav-u8", "wav", "pcm_u8"),
    Encoding("wav-s16", "wav", "pcm_s16le"),
    Encoding("wav-s24", "wav", "pcm_s24le", rate=48_000),
    Encoding("wav-s32", "wav", "pcm_s32le", rate=96_000),
    Encoding("wav-f32", "wav", "pcm_f32le", rate=192_000),
    Encoding("wav-f64", "wav", "pcm_f64le", layout="mono"),
    Encoding("wav-mulaw-8k", "wav", "pcm_mulaw", rate=8_000, layout="mono"),
    Encoding("wav-s16-5.1", "wav", "pcm_s16le", rate=48_000, layout="5.1"),
    Encoding("wav-adpcm", "wav", "adpcm_ima_wav", rate=22_050, layout="mono"),
    Encoding("aiff", "aiff", "pcm_s16be"),
    Encoding("au", "au", "pcm_s16be", rate=22_050, layout="mono"),
    Encoding("flac", "flac", "flac"),
    Encoding("flac-24-96k", "flac", "flac", rate=96_000, sample_format="s32"),
    Encoding("flac-in-ogg", "ogg", "flac"),
    Encoding("alac", "ipod", "alac"),
    Encoding("wavpack", "wv", "wavpack"),
    Encoding("mp3", "mp3", "libmp3lame", bit_rate=128_000),
    Encoding("mp3-mono-16k", "mp3", "libmp3lame", rate=16_000, layout="mono", bit_rate=32_000),
    Encoding("vorbis", "ogg", "vorbis"),
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

LOSSLESS = {
    "wav-s16",
    "wav-s24",
    "wav-s32",
    "wav-f32",
    "wav-f64",
    "wav-s16-5.1",
    "aiff",
    "au",
    "flac",
    "flac-24-96k",
    "flac-in-ogg",
    "alac",
    "wavpack",
}


class Bytes(Complete):
    """Media that counts how often it was asked for as a whole."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.wholes = 0

    def whole(self) -> IO[bytes]:
        self.wholes += 1
        return super().whole()


def by_name(name: str) -> Encoding:
    """One of ENCODINGS."""
    return next(encoding for encoding in ENCODINGS if encoding.name == name)
