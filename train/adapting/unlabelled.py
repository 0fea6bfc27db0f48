"""A teacher's outputs for clips of unlabelled music, computed once and kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np
from numpy.typing import NDArray

from serve.audio.decode import Complete, decode
from serve.audio.frontend import FrontEnd
from serve.audio.mel import Float32, MelSpectrogram
from serve.audio_files import below
from serve.errors import Undecodable
from train.adapting.adaptation import CLIPS
from train.data.dataset import Float16, relative_db
from train.data.spectrogram import MAX_SECONDS
from train.errors import DataError
from train.model import audioset
from train.model.pinned import Pinned
from train.progress import Advance

# Raised whenever the same input would give different targets.
_LAYOUT = 2
# Clips that peak below this are skipped: they teach little.
_QUIET = 0.01
_BATCH = 64
_ABOUT = "targets.json"
_ARRAYS = ("mel_db", "embedding", "logits")
# Clips are scaled to this peak for the teacher, whose outputs depend on level.
_PEAK = np.float32(0.7)


@dataclass(frozen=True, slots=True)
class Audio:
    """Which clips of which files: at most `clips`, spread evenly over the files."""

    folder: Path
    clips: int = CLIPS
    seed: int = 1

    def files(self) -> list[Path]:
        """All files below the folder except hidden ones; raise DataError if there are none."""
        files = sorted(path for path in below(self.folder) if path.is_file())
        if not files:
            raise DataError(f"{self.folder} holds no files")
        return files


@dataclass(frozen=True, slots=True)
class Targets:
    """Clips through our front end, and the teacher's outputs for them through its own."""

    mel_db: Float16
    """(n, frames, mel bands), dB relative to the clip's loudest cell"""
    embedding: Float16
    """(n, features)"""
    logits: Float16
    """(n, classes)"""
    front_end: FrontEnd
    """ours"""

    def save(self, folder: Path, about: dict[str, Any]) -> None:
        """Write the arrays, and last what they were made from."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in _ARRAYS:
            np.save(folder / f"{name}.npy", getattr(self, name))
        partial = folder / f"partial-{_ABOUT}"
        partial.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        partial.replace(folder / _ABOUT)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read them back; raise DataError if they are broken."""
        try:
            about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
            front_end = FrontEnd.from_dict(about["front_end"])
            arrays = {name: np.load(folder / f"{name}.npy") for name in _ARRAYS}
            return cls(**arrays, front_end=front_end)
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise DataError(f"{folder} is broken: {error}") from error


def targets(
    teacher: Pinned, audio: Audio, front_end: FrontEnd, cache: Path, advance: Advance
) -> Targets:
    """The targets of some audio, taken from `cache` if they are there. Raises DataError.

    Files without audio, or shorter than a clip, are skipped.
    """
    files = audio.files()
    about = _about(teacher, audio, front_end, files)
    folder = cache / key(about)
    if not (folder / _ABOUT).is_file():
        model = audioset.load(teacher.path())
        _make(model, audio, files, front_end, advance).save(folder, about)
    return Targets.load(folder)


def key(about: dict[str, Any]) -> str:
    """The folder name of targets made from this."""
    return "targets-" + hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]


def _about(teacher: Pinned, audio: Audio, front_end: FrontEnd, files: list[Path]) -> dict[str, Any]:
    stats = [path.stat() for path in files]
    return {
        "layout": _LAYOUT,
        "teacher": teacher.sha256,
        "front_end": front_end.to_dict(),
        "audio": {**asdict(audio), "folder": str(audio.folder.absolute())},
        "files": [
            [path.relative_to(audio.folder).as_posix(), stat.st_size, stat.st_mtime_ns]
            for path, stat in zip(files, stats, strict=True)
        ],
    }


def _make(
    model: keras.Model, audio: Audio, files: list[Path], front_end: FrontEnd, advance: Advance
) -> Targets:
    each = -(-audio.clips // len(files))
    predict, native, ours = audioset.predictor(model), audioset.LogMel(), MelSpectrogram(front_end)
    found: list[tuple[NDArray[Any], ...]] = []
    for number, path in enumerate(files):
        rng = np.random.default_rng([audio.seed, number])
        for theirs, mine in _batches(_clips(path, front_end, each, rng)):
            log_mel = native(theirs * (_PEAK / np.abs(theirs).max(axis=1, keepdims=True)))
            embedding, logits = (of.numpy().astype(np.float16) for of in predict(log_mel))
            mel_db = np.stack([relative_db(mel) for mel in ours(mine)]).astype(np.float16)
            found.append((mel_db, embedding, logits))
        advance(number + 1, len(files))
    if not found:
        raise DataError(f"{audio.folder} holds no clip of audio")
    mel_db, embedding, logits = map(np.concatenate, zip(*found, strict=True))
    return Targets(mel_db, embedding, logits, front_end)


def mel_power(audio: Audio, front_end: FrontEnd, advance: Advance) -> Float32:
    """Mel power (n, frames, mel bands) of clips of some audio, through our front end."""
    files = audio.files()
    each, ours = -(-audio.clips // len(files)), MelSpectrogram(front_end)
    found = [np.zeros((0, *front_end.clip_shape), np.float32)]
    for number, path in enumerate(files):
        rng = np.random.default_rng([audio.seed, number])
        found += [ours(mine) for _, mine in _batches(_clips(path, front_end, each, rng))]
        advance(number + 1, len(files))
    return np.concatenate(found)


def _clips(
    path: Path, front_end: FrontEnd, most: int, rng: np.random.Generator
) -> Iterator[tuple[Float32, Float32]]:
    """Clips from random places in a file, at the teacher's sample rate and at ours."""
    try:
        theirs = _read(path, audioset.SAMPLE_RATE)
        mine = _read(path, front_end.sample_rate)
    except Undecodable:
        return
    length = round(front_end.clip_s * audioset.SAMPLE_RATE)
    seconds = min(len(theirs) / audioset.SAMPLE_RATE, len(mine) / front_end.sample_rate)
    places = rng.uniform(0.0, max(0.0, seconds - front_end.clip_s), most)
    for place in np.sort(places[: int(seconds / front_end.clip_s)]):
        first, our_first = int(place * audioset.SAMPLE_RATE), int(place * front_end.sample_rate)
        clip = theirs[first : first + length]
        if np.abs(clip).max() >= _QUIET:
            yield clip, mine[our_first : our_first + front_end.clip_samples]


def _read(path: Path, sample_rate: int) -> Float32:
    # Decoded as by the server, up to the same length as in training.
    blocks: list[Float32] = []
    left = int(MAX_SECONDS * sample_rate)
    for block in decode(Complete(path.read_bytes()), sample_rate):
        blocks.append(block[:left])
        left -= len(blocks[-1])
        if not left:
            break
    return np.concatenate(blocks)


def _batches(clips: Iterator[tuple[Float32, Float32]]) -> Iterator[tuple[Float32, Float32]]:
    while batch := list(islice(clips, _BATCH)):
        theirs, mine = zip(*batch, strict=True)
        yield np.stack(theirs), np.stack(mine)
