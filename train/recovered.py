"""Spectrograms recovered from pictures (`mel.npz` with `tracks.csv`) as a dataset.

`mel.npz` holds `tracks` (n,) names and `mel_db` (n, frames, mel bands) uint8, where v means
v / 2 - 127.5 dB and 0 dB is the track's loudest cell; `tracks.csv` has track, genre, split. They
were made by one front end, and there is no sound left to make them anew by another.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from serve.audio.frontend import FrontEnd
from train.dataset import Dataset
from train.errors import DataError
from train.tracks import SPLITS, Track
from train.writer import DatasetWriter

if TYPE_CHECKING:
    from train.renditions import Renditions

_MEL, _TRACKS = "mel.npz", "tracks.csv"
_MADE_BY = FrontEnd()


def is_recovered(folder: Path) -> bool:
    """Whether the folder holds such spectrograms."""
    return (folder / _MEL).is_file()


def build(
    folder: Path,
    out: Path,
    front_end: FrontEnd,
    splits: dict[str, str] | None = None,
    advance: Callable[[int, int], None] = lambda done, total: None,
    renditions: Renditions | None = None,
) -> Dataset:
    """Write the dataset of `folder` to `out`; raise DataError where the folder is broken.

    `splits` (track to split) takes the place of the column in `tracks.csv`. One track is read at a
    time; `advance` is told tracks and renditions done and all of them.
    """
    _check_front_end(front_end)
    names = _read_names(folder / _MEL)
    rows = _read_tracks(folder / _TRACKS)
    tracks, total = len(names), len(names) + len(renditions or ())
    with DatasetWriter(out, front_end, "recovered spectrograms") as writer:
        values = _read_mel(folder / _MEL, front_end, len(names))
        for done, (name, value) in enumerate(zip(names, values, strict=True), 1):
            if name not in rows:
                raise DataError(f"{_TRACKS} lacks the track {name!r} of {_MEL}")
            genre, split = rows[name]
            if splits is not None:
                split = splits.get(name, "none")
            writer.add(Track(name, genre, split), value.astype(np.float32) / 2.0 - 127.5)
            advance(done, total)
        if renditions is not None:
            renditions.write(writer, front_end, lambda done: advance(tracks + done, total))
        return writer.finish()


def _check_front_end(front_end: FrontEnd) -> None:
    wanted, made_by = asdict(front_end), asdict(_MADE_BY)
    del wanted["clip_samples"], made_by["clip_samples"]
    if wrong := [f"{name} {wanted[name]}" for name in wanted if wanted[name] != made_by[name]]:
        fixed = ", ".join(f"{name} {made_by[name]}" for name in ("n_fft", "hop_length", "n_mels"))
        raise DataError(
            f"recovered spectrograms can't be had with {', '.join(wrong)}: they were made with "
            f"{fixed}; another front end needs audio files"
        )


def _read_names(path: Path) -> list[str]:
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return [str(name) for name in file["tracks"]]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path.name} can't be read: {error}") from error


def _read_mel(path: Path, front_end: FrontEnd, names: int) -> Iterator[NDArray[np.uint8]]:
    """The tracks' arrays (frames, mel bands), one at a time: the member is compressed, so it can't
    be mapped."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open("mel_db.npy") as member:
            shape = _read_shape(member, path.name, front_end)
            if names != shape[0] or shape[1] < front_end.frames:
                raise DataError(f"{path.name}: {names} names don't fit mel_db {shape}")
            for _ in range(names):
                data = member.read(shape[1] * shape[2])
                yield np.frombuffer(data, np.uint8).reshape(shape[1:])
    except DataError:
        raise
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path.name} can't be read: {error}") from error


def _read_shape(member: IO[bytes], name: str, front_end: FrontEnd) -> tuple[int, int, int]:
    if np.lib.format.read_magic(member) != (1, 0):
        raise DataError(f"{name}: mel_db is no array of the format 1.0")
    shape, by_column, dtype = np.lib.format.read_array_header_1_0(member)
    fits = dtype == np.uint8 and len(shape) == 3 and shape[2] == front_end.n_mels
    if not fits or by_column:
        raise DataError(
            f"{name}: mel_db is {dtype} {shape}, not uint8 (tracks, frames, {front_end.n_mels})"
        )
    return shape[0], shape[1], shape[2]


def _read_tracks(path: Path) -> dict[str, tuple[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = {row["track"]: (row["genre"], row["split"]) for row in csv.DictReader(file)}
    except (OSError, KeyError) as error:
        raise DataError(f"{path.name} can't be read: {error}") from error
    if wrong := {split for _, split in rows.values()} - set(SPLITS):
        raise DataError(f"{path.name} has unknown splits: {', '.join(sorted(wrong))}")
    return rows
