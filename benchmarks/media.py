"""Tracks to measure with: rendered, encoded as YouTube and people have them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import av
import numpy as np

_RATE = 48_000


def track(seconds: float, container: str) -> bytes:
    """A track of that length as `m4a` (AAC, index in front) or `webm` (Opus), 128 kbit/s stereo."""
    codec = {"m4a": "aac", "webm": "libopus"}[container]
    rng = np.random.default_rng(0)
    t = np.arange(round(seconds * _RATE)) / _RATE
    beat = np.exp(-6.0 * (t % 0.5))
    tone = np.sin(2 * np.pi * 220.0 * t) + np.sin(2 * np.pi * 331.0 * t) / 2
    mono = 0.2 * tone * (0.4 + beat) + 0.05 * beat * rng.standard_normal(len(t))
    samples = np.stack([mono, 0.9 * mono]).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "track")
        options = {"movflags": "+faststart"} if container == "m4a" else {}
        kind = {"m4a": "ipod", "webm": "webm"}[container]
        with av.open(str(path), "w", format=kind, options=options) as out:
            stream = out.add_stream(codec, rate=_RATE)
            assert isinstance(stream, av.AudioStream)
            stream.layout = "stereo"
            stream.bit_rate = 128_000
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
            frame.sample_rate = _RATE
            out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        return path.read_bytes()
