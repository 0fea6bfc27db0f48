"""What a folder of `genre/track` audio files, GTZAN's layout, holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from train.dataset import Skipped
from train.errors import DataError
from train.splits import AUDIO_SUFFIXES, track_name

# Kaggle's copy and the original archive keep the genres one folder deeper.
_INNER = ("genres_original", "genres")


@dataclass(frozen=True, slots=True)
class AudioFile:
    """One audio file of the folder."""

    track: str
    genre: str
    path: Path


@dataclass(frozen=True, slots=True)
class Listing:
    """What a folder holds."""

    files: tuple[AudioFile, ...]
    skipped: tuple[Skipped, ...]


def find(folder: Path) -> Listing:
    """The audio files of a folder; raise DataError where it has none.

    Hidden files (`._*` of archives made on a Mac) and second copies of a track are named as
    skipped; files of other kinds are not looked at.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder")
    root = next((folder / inner for inner in _INNER if (folder / inner).is_dir()), folder)
    files: dict[str, AudioFile] = {}
    skipped = []
    for path in sorted(root.glob("*/*")):
        if path.suffix.lower() not in AUDIO_SUFFIXES or not path.is_file():
            continue
        relative = path.relative_to(root).as_posix()
        name = track_name(relative)
        if path.name.startswith("."):
            skipped.append(Skipped(relative, "a hidden file"))
        elif name in files:
            skipped.append(Skipped(relative, f"a second copy of {files[name].path.name}"))
        else:
            files[name] = AudioFile(name, path.parent.name, path)
    if not files:
        suffixes = ", ".join(AUDIO_SUFFIXES)
        raise DataError(f"{folder} has no files genre/track of any kind of {suffixes}")
    return Listing(tuple(files.values()), tuple(skipped))
