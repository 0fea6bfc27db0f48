"""What a decoder process says while it works."""

from __future__ import annotations

import io
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from serve.audio import messages, work
from serve.audio.frontend import FrontEnd
from serve.audio.mel import MelSpectrogram
from tests.media import by_name, encode, music

SECONDS = 60.0
# For what a clock's sums are rounded by.
NEARLY = 1e-6


class Whole:
    """Media that is all there."""

    waited_s = 0.0
    taken_bytes = 0
    until = None

    def __init__(self, content):
        self.whole = lambda: io.BytesIO(content)
        self.read = io.BytesIO(content).read

    def look(self):
        """Nobody says anything."""


class Channel:
    """Notes when something was said, by a clock that goes on with every block of samples."""

    def __init__(self, block_s):
        self.now = 0.0
        self.said = []
        self._block_s = block_s

    def monotonic(self):
        self.now += self._block_s
        return self.now

    def perf_counter(self):
        return self.now

    def send(self, kind, *, seconds, taken_bytes):
        assert kind == messages.PROGRESS
        self.said.append((self.now, seconds))


@pytest.fixture(scope="module")
def content():
    encoding = by_name("flac")
    return encode(music(SECONDS, encoding.rate), encoding)


@pytest.mark.parametrize("block_s", [0.004, 0.08], ids=["quick", "slow"])
def test_word_of_progress_is_never_stale_for_long(content, monkeypatch, block_s):
    mel, channel = MelSpectrogram(FrontEnd()), Channel(block_s)
    monkeypatch.setattr(work, "time", channel)
    out = np.zeros((60, *mel.front_end.clip_shape), np.float32)
    said: Any = channel
    media: Any = Whole(content)
    done = work.Work(said, media, mel, out, SECONDS).do(number=0, parts=1, done_s=0.0)
    assert done["duration_s"] == pytest.approx(SECONDS, abs=0.1)
    times, seconds = zip(*channel.said, strict=True)
    assert seconds == tuple(sorted(seconds))
    assert times[0] <= 2 * block_s + NEARLY
    for last, following in pairwise((*times, channel.now)):
        # A block is done before anything is said.
        assert following - last <= block_s + min(0.1, max(0.01, last / 8)) + NEARLY
    # A slow track is told of ten times a second, but for its first.
    assert len(times) <= 25 + 10 * channel.now
