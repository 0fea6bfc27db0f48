"""The NumPy dataset: mel spectrograms of whole tracks, mapped from disk.

A folder of three files:

- `mel_db.npy`: float16 (frames of all tracks, mel bands), dB relative to the track's loudest cell;
- `tracks.csv`: track, genre, split, start, frames (its rows of `mel_db.npy`), source_hz;
- `dataset.json`: front end, genres in order, source, how it was split, digest, and the files that
  were skipped.

Frames of a track are contiguous at the front end's hop, so every window of `front_end.frames` of
them is a valid clip.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from serve.audio.frontend import FrontEnd
from train.errors import DataError

Float16 = NDArray[np.float16]
Float32 = NDArray[np.float32]

# Nothing is kept below this, relative to the track's loudest cell: 16-bit audio ends about there.
FLOOR_DB = -127.5
SPLITS = ("train", "valid", "test", "none")
_MEL, _TRACKS, _ABOUT = "mel_db.npy", "tracks.csv", "dataset.json"


@dataclass(frozen=True, slots=True)
class Track:
    """One track of a dataset: where its frames lie, and what it is."""

    track: str
    genre: str
    split: str
    start: int = 0
    """its first row of `mel_db`"""
    frames: int = 0
    """rows of `mel_db`"""
    source_hz: int = 0
    """sample rate of the recording it was made from, 0 where unknown"""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was left out, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """Mel spectrograms of tracks, with the front end they were made by."""

    front_end: FrontEnd
    genres: tuple[str, ...]
    tracks: tuple[Track, ...]
    mel_db: Float16
    source: str
    """what the spectrograms were made from"""
    split_by: str
    """`as given` or `by chance`"""
    digest: str
    skipped: tuple[Skipped, ...] = ()

    def of(self, split: str) -> tuple[Track, ...]:
        """The tracks of one split; raise DataError where it has none."""
        found = tuple(track for track in self.tracks if track.split == split)
        if not found:
            raise DataError(f"the dataset has no track in its split {split!r}")
        return found

    def label(self, track: Track) -> int:
        """The column of a track's genre."""
        return self.genres.index(track.genre)

    def clips(self, track: Track) -> Float32:
        """The track's consecutive clips (clips, frames, mel bands) in dB."""
        step = self.front_end.frames
        whole = track.frames // step
        rows = self.mel_db[track.start : track.start + whole * step]
        return rows.astype(np.float32).reshape(whole, *self.front_end.clip_shape)

    def windows(self) -> Float16:
        """Every window of a clip's length as a view (rows - frames + 1, mel bands, frames)."""
        return sliding_window_view(self.mel_db, self.front_end.frames, axis=0)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Map a dataset from disk; raise DataError where it is missing or broken."""
        for name in (_MEL, _TRACKS, _ABOUT):
            if not (folder / name).is_file():
                raise DataError(f"{folder} is no dataset: it has no {name}")
        try:
            about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
            front_end = FrontEnd.from_dict(about["front_end"])
            genres, digest = tuple(about["genres"]), about["digest"]
            source, split_by = about["source"], about["split_by"]
            mel_db = np.load(folder / _MEL, mmap_mode="r")
            tracks = tuple(_read_tracks(folder / _TRACKS))
            skipped = tuple(Skipped(**entry) for entry in about["skipped"])
        except (ValueError, KeyError, TypeError, OSError, EOFError) as error:
            raise DataError(f"{folder} is broken: {error}") from error
        _check(front_end, genres, tracks, mel_db)
        return cls(front_end, genres, tracks, mel_db, source, split_by, digest, skipped)


def power(mel_db: Float32) -> Float32:
    """Mel power of dB, any shape."""
    scaled: Float32 = np.power(np.float32(10.0), mel_db * np.float32(0.1))
    return scaled


def relative_db(mel_power: Float32) -> Float32:
    """DB of one track's mel power relative to its loudest cell, no lower than `FLOOR_DB`."""
    peak = max(float(mel_power.max(initial=0.0)), 1e-30)
    floor = 10.0 ** (FLOOR_DB / 10.0)
    decibels: Float32 = 10.0 * np.log10(np.maximum(mel_power / peak, floor))
    return decibels.astype(np.float32)


class DatasetWriter:
    """Writes a dataset track by track; only one track is held in memory.

    A context manager: without `finish` nothing is left behind that looks like a dataset.
    """

    def __init__(
        self, folder: Path, front_end: FrontEnd, source: str, split_by: str = "as given"
    ) -> None:
        self._folder = folder
        self._front_end = front_end
        self._source = source
        self._split_by = split_by
        self._tracks: list[Track] = []
        self._skipped: list[Skipped] = []
        self._rows = 0
        folder.mkdir(parents=True, exist_ok=True)
        self._raw = (folder / "mel_db.raw").open("wb")
        self._hash = hashlib.sha256()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._raw.close()
        Path(self._raw.name).unlink(missing_ok=True)

    def add(self, track: Track, mel_db: Float32) -> None:
        """Add a track with its spectrogram (frames, mel bands) in dB."""
        data = np.ascontiguousarray(mel_db, dtype=np.float16).tobytes()
        self._raw.write(data)
        self._hash.update(data)
        frames = len(mel_db)
        self._tracks.append(
            Track(track.track, track.genre, track.split, self._rows, frames, track.source_hz)
        )
        self._rows += frames

    def skip(self, name: str, reason: str) -> None:
        """Note a file that was left out."""
        self._skipped.append(Skipped(name, reason))

    def finish(self) -> Dataset:
        """Finish the files and return the dataset; raise DataError where it would be empty."""
        self._raw.close()
        if not self._tracks:
            raise DataError(f"there is no usable track in {self._source}")
        shape = (self._rows, self._front_end.n_mels)
        mel_db = np.lib.format.open_memmap(self._folder / _MEL, "w+", np.float16, shape)
        mel_db[:] = np.memmap(self._raw.name, np.float16, "r", shape=shape)
        mel_db.flush()
        _write_tracks(self._folder / _TRACKS, self._tracks)
        self._hash.update((self._folder / _TRACKS).read_bytes())
        about = {
            "front_end": self._front_end.to_dict(),
            "genres": sorted({track.genre for track in self._tracks}),
            "source": self._source,
            "split_by": self._split_by,
            "digest": self._hash.hexdigest(),
            "skipped": [asdict(entry) for entry in self._skipped],
        }
        # Written last: a folder with it is whole.
        text = json.dumps(about, indent=2) + "\n"
        (self._folder / _ABOUT).write_text(text, encoding="utf-8")
        return Dataset.load(self._folder)


def is_dataset(folder: Path) -> bool:
    """Whether the folder holds a finished dataset."""
    return (folder / _ABOUT).is_file()


def _read_tracks(path: Path) -> Iterable[Track]:
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            start, frames, source_hz = (int(row[key]) for key in ("start", "frames", "source_hz"))
            yield Track(row["track"], row["genre"], row["split"], start, frames, source_hz)


def _write_tracks(path: Path, tracks: Iterable[Track]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Track)])
        writer.writeheader()
        writer.writerows(asdict(track) for track in tracks)


def _check(
    front_end: FrontEnd, genres: tuple[str, ...], tracks: tuple[Track, ...], mel_db: Float16
) -> None:
    if mel_db.ndim != 2 or mel_db.shape[1] != front_end.n_mels or mel_db.dtype != np.float16:
        raise DataError(f"mel_db is {mel_db.dtype} {mel_db.shape}, not float16 (frames, bands)")
    for track in tracks:
        if track.genre not in genres:
            raise DataError(f"track {track.track}: its genre {track.genre!r} is not in the list")
        if track.split not in SPLITS:
            raise DataError(f"track {track.track}: {track.split!r} is no split")
        if track.frames < front_end.frames or track.start + track.frames > len(mel_db):
            raise DataError(f"track {track.track}: its frames don't lie in mel_db")
