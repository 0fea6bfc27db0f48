"""A folder of `genre/track` audio files, GTZAN's layout, as a dataset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from serve.audio.frontend import FrontEnd
from train.dataset import Dataset, Skipped, relative_db
from train.errors import DataError
from train.spectrogram import TrackSpectrogram, read_mono
from train.splits import AUDIO_SUFFIXES, Splits, track_name
from train.tracks import Track
from train.writer import DatasetWriter

if TYPE_CHECKING:
    from train.renditions import Renditions

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


def build(
    listing: Listing,
    out: Path,
    front_end: FrontEnd,
    splits: Splits,
    split_by: str,
    advance: Callable[[int, int], None],
    renditions: Renditions | None = None,
) -> Dataset:
    """Write the dataset of a folder's files to `out`; unreadable ones are named in it as skipped.

    Tracks that `splits` doesn't name belong to `none`. `advance` is told files and renditions done
    and all of them.
    """
    files, total = len(listing.files), len(listing.files) + len(renditions or ())
    spectrogram = TrackSpectrogram(front_end)
    with DatasetWriter(out, front_end, "audio files", split_by) as writer:
        for entry in listing.skipped:
            writer.skip(entry.name, entry.reason)
        for done, file in enumerate(listing.files, 1):
            try:
                samples, rate = read_mono(file.path, front_end.sample_rate)
                mel_db = relative_db(spectrogram(samples))
            except DataError as error:
                writer.skip(f"{file.genre}/{file.path.name}", str(error))
            else:
                split = splits.get(file.track, "none")
                writer.add(Track(file.track, file.genre, split, source_hz=rate), mel_db)
            advance(done, total)
        if renditions is not None:
            renditions.write(writer, front_end, lambda done: advance(files + done, total))
        return writer.finish()
