"""Spectrograms recovered from pictures (`mel.npz` with `tracks.csv`) as a dataset.

`mel.npz` holds `tracks` (n,) names and `mel_db` (n, frames, mel bands) uint8, where v means
v / 2 - 127.5 dB and 0 dB is the track's loudest cell; `tracks.csv` has track, genre, split.
"""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from serve.audio.frontend import FrontEnd
from train.dataset import SPLITS, Dataset, DatasetWriter, Track
from train.errors import DataError

_MEL, _TRACKS = "mel.npz", "tracks.csv"


def is_recovered(folder: Path) -> bool:
    """Whether the folder holds such spectrograms."""
    return (folder / _MEL).is_file()


def build(
    folder: Path, out: Path, front_end: FrontEnd, splits: dict[str, str] | None = None
) -> Dataset:
    """Write the dataset of `folder` to `out`; raise DataError where the folder is broken.

    `splits` (track to split) takes the place of the column in `tracks.csv`.
    """
    names, values = _read_mel(folder / _MEL, front_end)
    rows = _read_tracks(folder / _TRACKS)
    with DatasetWriter(out, front_end, "recovered spectrograms") as writer:
        for name, value in zip(names, values, strict=True):
            if name not in rows:
                raise DataError(f"{_TRACKS} lacks the track {name!r} of {_MEL}")
            genre, split = rows[name]
            if splits is not None:
                split = splits.get(name, "none")
            writer.add(Track(name, genre, split), value.astype(np.float32) / 2.0 - 127.5)
        return writer.finish()


def _read_mel(path: Path, front_end: FrontEnd) -> tuple[list[str], NDArray[np.uint8]]:
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            names = [str(name) for name in file["tracks"]]
            values = file["mel_db"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path.name} can't be read: {error}") from error
    if values.dtype != np.uint8 or values.ndim != 3 or values.shape[2] != front_end.n_mels:
        raise DataError(
            f"{path.name}: mel_db is {values.dtype} {values.shape}, not uint8 (tracks, frames, "
            f"{front_end.n_mels})"
        )
    if len(names) != len(values) or values.shape[1] < front_end.frames:
        raise DataError(f"{path.name}: {len(names)} names don't fit mel_db {values.shape}")
    return names, values


def _read_tracks(path: Path) -> dict[str, tuple[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = {row["track"]: (row["genre"], row["split"]) for row in csv.DictReader(file)}
    except (OSError, KeyError) as error:
        raise DataError(f"{path.name} can't be read: {error}") from error
    if wrong := {split for _, split in rows.values()} - set(SPLITS):
        raise DataError(f"{path.name} has unknown splits: {', '.join(sorted(wrong))}")
    return rows
