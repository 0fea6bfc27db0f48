"""Tracks to measure with: rendered, encoded as YouTube and people have them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np

from train.data.codecs import INDEX_FIRST, Encoding, encode

_RATE = 48_000
_ENCODINGS = {
    "m4a": Encoding("m4a", "ipod", "aac", _RATE, bit_rate=128_000, options=INDEX_FIRST),
    "webm": Encoding("webm", "webm", "libopus", _RATE, bit_rate=128_000),
}
#: what `track` makes
CONTAINERS = tuple(_ENCODINGS)


@cache
def track(seconds: float, container: str) -> bytes:
    """A track of that length as `m4a` (AAC, index in front) or `webm` (Opus), 128 kbit/s stereo."""
    rng = np.random.default_rng(0)
    t = np.arange(round(seconds * _RATE)) / _RATE
    beat = np.exp(-6.0 * (t % 0.5))
    tone = np.sin(2 * np.pi * 220.0 * t) + np.sin(2 * np.pi * 331.0 * t) / 2
    mono = 0.2 * tone * (0.4 + beat) + 0.05 * beat * rng.standard_normal(len(t))
    return encode(np.stack([mono, 0.9 * mono]).astype(np.float32), _ENCODINGS[container])


@contextmanager
def files(seconds: float) -> Iterator[dict[str, Path]]:
    """The track as a file in each of the containers, by container; they are gone in the end."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {container: Path(folder, f"track.{container}") for container in CONTAINERS}
        for container, path in paths.items():
            path.write_bytes(track(seconds, container))
        yield paths
