"""The exported model on real audio, through the server's own signal path."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from serve.audio.features import FeatureStream
from serve.audio.frontend import FrontEnd
from serve.audio.mel import MelSpectrogram
from serve.errors import TopgenreError
from train import gtzan, splits
from train.dataset import Dataset, Float32
from train.errors import DataError
from train.evaluate import Predict, Scores, evaluate, score
from train.spectrogram import MAX_SECONDS, read_mono

# Tracks that were trained on say nothing.
HEARD = ("valid", "none")


@dataclass(frozen=True, slots=True)
class Heard:
    """Scores of the tracks of one split and one sample rate."""

    split: str
    source_hz: int
    audio: Scores
    spectrograms: Scores | None
    """of the same tracks from the dataset the model was trained on, where it has them all"""


@dataclass(frozen=True, slots=True)
class HeardFile:
    """A file that was not trained on."""

    track: str
    genre: str
    split: str
    path: Path


@dataclass(frozen=True, slots=True)
class Usable:
    """A file's mono samples at the front end's rate, its own rate, and its mel power."""

    file: HeardFile
    source_hz: int
    samples: Float32
    mel: Float32


@dataclass(frozen=True, slots=True)
class Answer:
    """One track's clip probabilities."""

    track: str
    genre: str
    split: str
    source_hz: int
    probabilities: Float32


def files(folder: Path, given: Path | None) -> list[HeardFile]:
    """The folder's files of the splits `HEARD`.

    `given` are the splits; without it the folder's own `tracks.csv` is read.
    """
    of_track = splits.read(given if given is not None else folder / "tracks.csv")
    return [
        HeardFile(file.track, file.genre, of_track[file.track], file.path)
        for file in gtzan.find(folder).files
        if of_track.get(file.track) in HEARD
    ]


def usable(
    heard: Iterable[HeardFile], front_end: FrontEnd, advance: Callable[[], None] = lambda: None
) -> Iterator[Usable]:
    """The files that can be used, read; the others are left out. `advance` is called for each."""
    for file in heard:
        try:
            samples, source_hz = read_mono(file.path, front_end.sample_rate)
            mel = features(samples, front_end)
        except (DataError, TopgenreError):
            continue
        finally:
            advance()
        yield Usable(file, source_hz, samples, mel)


def listen(
    predict: Predict,
    front_end: FrontEnd,
    heard: Iterable[HeardFile],
    advance: Callable[[], None],
) -> list[Answer]:
    """Answers for these files, but for unusable ones. `advance` is called for each."""
    return [
        Answer(of.file.track, of.file.genre, of.file.split, of.source_hz, predict(of.mel))
        for of in usable(heard, front_end, advance)
    ]


def features(samples: Float32, front_end: FrontEnd) -> Float32:
    """Mel power (clips, frames, mel bands) of a track as the server computes it."""
    capacity = FeatureStream.capacity(front_end, MAX_SECONDS)
    room = min(capacity, len(samples) // front_end.clip_samples + 1)
    out = np.zeros((room, *front_end.clip_shape), np.float32)
    stream = FeatureStream(MelSpectrogram(front_end), out, MAX_SECONDS)
    stream.push(samples)
    return out[: stream.finish().clips]


def group(
    answers: list[Answer], genres: tuple[str, ...], predict: Predict, data: Dataset | None
) -> list[Heard]:
    """Scores by split and sample rate, beside those of the same tracks' spectrograms."""
    table = []
    for split, source_hz in sorted({(a.split, a.source_hz) for a in answers}, reverse=True):
        of = [a for a in answers if (a.split, a.source_hz) == (split, source_hz)]
        audio = score(((genres.index(a.genre), a.probabilities) for a in of), genres)
        table.append(Heard(split, source_hz, audio, _spectrograms(of, predict, data)))
    return table


def _spectrograms(of: list[Answer], predict: Predict, data: Dataset | None) -> Scores | None:
    if data is None:
        return None
    names = {answer.track for answer in of}
    tracks = [track for track in data.tracks if track.track in names]
    return evaluate(predict, data, tracks) if len(tracks) == len(names) else None
