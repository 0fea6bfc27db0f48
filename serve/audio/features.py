"""A stream of samples to the model's input, clip by clip, without holding the track."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from serve.audio.frontend import FrontEnd
from serve.durations import spoken
from serve.errors import Silent, TooLong, TooShort

# The server itself makes no spectrogram: it starts sooner without SciPy.
if TYPE_CHECKING:
    from serve.audio.mel import Float32, MelSpectrogram

# Below this nothing is heard: 16-bit digital silence with dither peaks at 6e-5.
_SILENCE_PEAK = 1e-4


@dataclass(frozen=True, slots=True)
class Extent:
    """What a finished stream came to, counted from the track's start: clips, seconds heard."""

    clips: int
    duration_s: float
    silent: bool
    """whether nothing was heard in what the stream itself took in"""


class FeatureStream:
    """Cuts samples into clips and writes each clip's mel power into a preallocated array.

    `out` has the shape (capacity, frames, mel bands), with room for `max_duration_s`. The result
    does not depend on how the stream was cut into blocks. A stream that begins in the middle of a
    track begins with clip `first`, and leaves those before alone.
    """

    # Encoders pad the ends of a track, by up to a few thousand samples: that is not its length.
    SLACK_S = 1.0

    def __init__(
        self, mel: MelSpectrogram, out: Float32, max_duration_s: float, first: int = 0
    ) -> None:
        front_end = mel.front_end
        self._mel = mel
        self._out = out
        self._max_samples = int((max_duration_s + self.SLACK_S) * front_end.sample_rate)
        self._max_duration_s = max_duration_s
        self._samples = np.zeros((mel.batch, front_end.clip_samples), np.float32)
        self._flat = self._samples.reshape(-1)
        self._filled = 0
        self._clips = first
        self._total = first * front_end.clip_samples
        self._heard = False

    @staticmethod
    def capacity(front_end: FrontEnd, max_duration_s: float) -> int:
        """Clips that `out` must have room for."""
        longest = (max_duration_s + FeatureStream.SLACK_S) * front_end.sample_rate
        return max(1, front_end.clips_in(int(longest)))

    @property
    def seconds(self) -> float:
        """Seconds of audio so far, counted from the track's start."""
        return self._total / self._mel.front_end.sample_rate

    def push(self, samples: Float32) -> None:
        """Take in the next samples (any number); raise TooLong past the longest track."""
        self._total += len(samples)
        if self._total > self._max_samples:
            raise TooLong(f"The track is longer than the limit of {spoken(self._max_duration_s)}.")
        if not self._heard and len(samples):
            self._heard = bool(max(samples.max(), -samples.min()) >= _SILENCE_PEAK)
        while len(samples):
            taken = min(len(samples), len(self._flat) - self._filled)
            self._flat[self._filled : self._filled + taken] = samples[:taken]
            self._filled += taken
            samples = samples[taken:]
            if self._filled == len(self._flat):
                self._write(len(self._samples))
                self._filled = 0

    def finish(self) -> Extent:
        """Write what is left; raise TooShort under half a clip, Silent where nothing is heard."""
        extent = self.end()
        if extent.silent:
            raise Silent
        return extent

    def end(self) -> Extent:
        """The same for a part of a track, of which another part may be heard."""
        front_end = self._mel.front_end
        if self._total == 0 or front_end.clips_in(self._total) == 0:
            raise TooShort(
                f"There are {self.seconds:.2f} s of audio; at least {front_end.clip_s / 2:.2f} s "
                "are needed."
            )
        self._flat[self._filled :] = 0.0
        self._write(front_end.clips_in(self._filled))
        return Extent(self._clips, self.seconds, not self._heard)

    def _write(self, clips: int) -> None:
        self._mel.into(self._samples[:clips], self._out[self._clips : self._clips + clips])
        self._clips += clips
