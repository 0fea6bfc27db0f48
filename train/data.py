"""Whatever is given as data, as a dataset; made once and kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from serve.audio.frontend import FrontEnd
from train import gtzan, recovered, splits
from train.dataset import Dataset, is_dataset
from train.errors import DataError

# Counts up when the same input would come to other files.
_LAYOUT = 1


@dataclass(frozen=True, slots=True)
class Prepared:
    """A dataset, and what is to be said about its split."""

    data: Dataset
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """Where data comes from and how it is turned into a dataset."""

    folder: Path
    cache: Path
    """folder for datasets that are made"""
    front_end: FrontEnd
    splits: Path | None = None
    """folder of `train.txt`, `valid.txt` or a table; None for the folder's own `tracks.csv`"""
    seed: int = 1
    """of a split by chance, where nothing else is known"""


def prepare(source: Source, advance: Callable[[int, int], None]) -> Prepared:
    """The dataset of a source: a dataset itself, recovered spectrograms, or a folder of audio.

    `advance` is told files done and all files. Raises DataError.
    """
    folder = source.folder
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder")
    if is_dataset(folder):
        if source.splits is not None:
            raise DataError("a finished dataset has its splits; give them when it is made")
        return Prepared(Dataset.load(folder))
    given = splits.read(source.splits) if source.splits else None
    if recovered.is_recovered(folder):
        return _prepare_recovered(source, given)
    return _prepare_audio(source, given, advance)


def _prepare_recovered(source: Source, given: splits.Splits | None) -> Prepared:
    parts = [source.folder / "mel.npz", source.folder / "tracks.csv"]
    out = source.cache / _key(source, parts, given)
    if is_dataset(out):
        return Prepared(Dataset.load(out))
    return Prepared(recovered.build(source.folder, out, source.front_end, given))


def _prepare_audio(
    source: Source, given: splits.Splits | None, advance: Callable[[int, int], None]
) -> Prepared:
    listing = gtzan.find(source.folder)
    split_by, warning = "as given", ""
    if given is None and (source.folder / "tracks.csv").is_file():
        given = splits.read(source.folder / "tracks.csv")
    if given is None:
        tracks = [(file.track, file.genre) for file in listing.files]
        given = splits.by_chance(tracks, source.seed)
        split_by = "by chance"
        warning = (
            "No split was given, so valid is drawn by chance: artists are on both sides, and the "
            "scores flatter."
        )
    out = source.cache / _key(source, [file.path for file in listing.files], given)
    if is_dataset(out):
        return Prepared(Dataset.load(out), warning)
    done = 0

    def one_more(_: gtzan.AudioFile) -> None:
        nonlocal done
        done += 1
        advance(done, len(listing.files))

    data = gtzan.build(listing, out, source.front_end, given, split_by, one_more)
    return Prepared(data, warning)


def _key(source: Source, files: list[Path], given: splits.Splits | None) -> str:
    """Name of the dataset made from these files: another one when anything about them changes."""
    try:
        stats = [path.stat() for path in files]
    except OSError as error:
        raise DataError(f"{error.filename} can't be read: {error.strerror}") from error
    about = [
        (path.as_posix(), stat.st_size, stat.st_mtime_ns)
        for path, stat in zip(files, stats, strict=True)
    ]
    text = json.dumps([_LAYOUT, source.front_end.to_dict(), about, given], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
