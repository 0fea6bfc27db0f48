"""Held-out audio files, read as the server reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from serve.audio.features import FeatureStream
from serve.audio.frontend import FrontEnd
from serve.audio.mel import MelSpectrogram
from serve.errors import TopgenreError
from train.data import audio_files
from train.data.dataset import Float32
from train.data.spectrogram import MAX_SECONDS, read_mono
from train.data.splits import Splits
from train.errors import DataError

# Tracks that were trained on don't count.
HELD_OUT = ("valid", "none")


@dataclass(frozen=True, slots=True)
class HeldOutFile:
    """A file that was not trained on."""

    track: str
    genre: str
    split: str
    path: Path


@dataclass(frozen=True, slots=True)
class Usable:
    """A file's mono samples at the front end's rate, its own rate, and its mel power."""

    file: HeldOutFile
    source_hz: int
    samples: Float32
    mel: Float32


def files(folder: Path, of_track: Splits) -> list[HeldOutFile]:
    """The folder's files of the splits `HELD_OUT`; those without a split are left out."""
    return [
        HeldOutFile(file.track, file.genre, of_track[file.track], file.path)
        for file in audio_files.find(folder).files
        if of_track.get(file.track) in HELD_OUT
    ]


def usable(held_out: Iterable[HeldOutFile], front_end: FrontEnd) -> Iterator[Usable]:
    """The usable ones of these files, read."""
    for file in held_out:
        try:
            samples, source_hz = read_mono(file.path, front_end.sample_rate)
            mel = features(samples, front_end)
        except (DataError, TopgenreError):
            continue
        yield Usable(file, source_hz, samples, mel)


def features(samples: Float32, front_end: FrontEnd) -> Float32:
    """Mel power (clips, frames, mel bands) of a track as the server computes it."""
    capacity = FeatureStream.capacity(front_end, MAX_SECONDS)
    room = min(capacity, len(samples) // front_end.clip_samples + 1)
    out = np.zeros((room, *front_end.clip_shape), np.float32)
    stream = FeatureStream(MelSpectrogram(front_end), out, MAX_SECONDS)
    stream.push(samples)
    return out[: stream.finish().clips]
