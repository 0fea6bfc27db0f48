"""The NumPy dataset: mel spectrograms of whole tracks, mapped from disk.

A folder of three files:

- `mel_db.npy`: float16 (frames of all tracks, mel bands), dB relative to the track's loudest cell;
- `tracks.csv`: track, genre, split, start, frames (its rows of `mel_db.npy`), source_hz, and
  rendition where tracks have several;
- `dataset.json`: front end, genres in order, source, how it was split, digest, and the files that
  were skipped.

A track's frames are contiguous and a hop apart, so every window of `front_end.frames` of them is a
valid clip. Renditions are altered copies of a track, used in training only: code that splits,
counts or evaluates tracks doesn't see them. They are in their track's split.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from serve.audio.frontend import FrontEnd
from train.data.tracks import SPLITS, Track, read_tracks, table
from train.errors import DataError

Float16 = NDArray[np.float16]
Float32 = NDArray[np.float32]

# The floor, relative to the track's loudest cell: about where 16-bit audio ends.
FLOOR_DB = -127.5
# `split_by` of a dataset whose tracks are not split yet.
NO_SPLIT = "none"
MEL, TRACKS, ABOUT = "mel_db.npy", "tracks.csv", "dataset.json"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A skipped file, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """Mel spectrograms of tracks, and the front end that computed them."""

    front_end: FrontEnd
    genres: tuple[str, ...]
    tracks: tuple[Track, ...]
    mel_db: Float16
    source: str
    """what the spectrograms were made from"""
    split_by: str
    """how its tracks were split: `as given`, `by chance`, …"""
    digest: str
    """of spectrograms and tracks: changes with the split"""
    skipped: tuple[Skipped, ...] = ()
    folder: Path | None = None
    """where its files are"""
    file_digest: str = ""
    """`digest` of the files; the same for every split of them"""
    renditions: Mapping[str, tuple[Track, ...]] = field(default_factory=dict)
    """track name to its renditions, where it has any"""

    def of(self, split: str) -> tuple[Track, ...]:
        """The tracks of one split; raise DataError if there are none."""
        found = tuple(track for track in self.tracks if track.split == split)
        if not found:
            raise DataError(f"the dataset has no track in its split {split!r}")
        return found

    def with_tracks(self, tracks: Iterable[Track], split_by: str) -> Self:
        """The same files with a different list of tracks, or other splits; nothing is copied."""
        changed = tuple(tracks)
        if changed == self.tracks:
            return replace(self, split_by=split_by)
        _check(self.front_end, self.genres, changed, self.mel_db)
        text = self.file_digest + table(changed)
        digest = hashlib.sha256(text.encode()).hexdigest()
        return replace(self, tracks=changed, split_by=split_by, digest=digest)

    def label(self, track: Track) -> int:
        """The column of a track's genre."""
        return self.genres.index(track.genre)

    def clips(self, track: Track, first: int = 0) -> Float32:
        """Consecutive clips (clips, frames, mel bands) of a track in dB, from frame `first` on."""
        step = self.front_end.frames
        whole = max(0, track.frames - first) // step
        start = track.start + first
        rows = self.mel_db[start : start + whole * step]
        return rows.astype(np.float32).reshape(whole, *self.front_end.clip_shape)

    def windows(self) -> Float16:
        """Every window of a clip's length as a view (rows - frames + 1, mel bands, frames)."""
        return sliding_window_view(self.mel_db, self.front_end.frames, axis=0)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Map a dataset from disk; raise DataError if it is missing or broken."""
        for name in (MEL, TRACKS, ABOUT):
            if not (folder / name).is_file():
                raise DataError(f"{folder} is not a dataset: it has no {name}")
        try:
            about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
            front_end = FrontEnd.from_dict(about["front_end"])
            genres, digest = tuple(about["genres"]), about["digest"]
            source, split_by = about["source"], about["split_by"]
            mel_db = np.load(folder / MEL, mmap_mode="r")
            listed = read_tracks(folder / TRACKS)
            skipped = tuple(Skipped(**entry) for entry in about["skipped"])
        except (ValueError, KeyError, TypeError, OSError, EOFError) as error:
            raise DataError(f"{folder} is broken: {error}") from error
        _check(front_end, genres, listed, mel_db)
        tracks = tuple(track for track in listed if not track.rendition)
        return cls(
            front_end=front_end,
            genres=genres,
            tracks=tracks,
            mel_db=mel_db,
            source=source,
            split_by=split_by,
            digest=digest,
            skipped=skipped,
            folder=folder,
            file_digest=digest,
            renditions=_renditions(listed, tracks),
        )


def power(mel_db: Float32) -> Float32:
    """Mel power of dB, any shape."""
    scaled: Float32 = np.power(np.float32(10.0), mel_db * np.float32(0.1))
    return scaled


def relative_db(mel_power: Float32) -> Float32:
    """One track's mel power in dB relative to its loudest cell, no lower than `FLOOR_DB`."""
    peak = max(float(mel_power.max(initial=0.0)), 1e-30)
    floor = 10.0 ** (FLOOR_DB / 10.0)
    decibels: Float32 = 10.0 * np.log10(np.maximum(mel_power / peak, floor))
    return decibels.astype(np.float32)


def is_dataset(folder: Path) -> bool:
    """Whether the folder holds a finished dataset."""
    return (folder / ABOUT).is_file()


def _renditions(
    listed: Iterable[Track], tracks: Iterable[Track]
) -> Mapping[str, tuple[Track, ...]]:
    genre_of = {track.track: track.genre for track in tracks}
    found: dict[str, list[Track]] = defaultdict(list)
    for track in listed:
        if track.rendition:
            if genre_of.get(track.track) != track.genre:
                raise DataError(
                    f"track {track.track}: {track.rendition!r} is not a rendition of it"
                )
            found[track.track].append(track)
    return {name: tuple(of) for name, of in found.items()}


def _check(
    front_end: FrontEnd, genres: tuple[str, ...], tracks: tuple[Track, ...], mel_db: Float16
) -> None:
    if mel_db.ndim != 2 or mel_db.shape[1] != front_end.n_mels or mel_db.dtype != np.float16:
        raise DataError(f"mel_db is {mel_db.dtype} {mel_db.shape}, not float16 (frames, bands)")
    for track in tracks:
        if track.genre not in genres:
            raise DataError(f"track {track.track}: its genre {track.genre!r} is not in the list")
        if track.split not in SPLITS:
            raise DataError(f"track {track.track}: {track.split!r} is not a split")
        if track.frames < front_end.frames or track.start + track.frames > len(mel_db):
            raise DataError(f"track {track.track}: its frames don't lie in mel_db")
