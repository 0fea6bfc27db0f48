"""Where training data come from, and the dataset that is built from them once and kept."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from serve.audio.frontend import FrontEnd
from train.data import audio_files, gtzan, plan, splits
from train.data.dataset import NO_SPLIT, Dataset, is_dataset
from train.data.plan import Prepared, SplitPlan
from train.data.renditions import RENDITIONS, Rendition
from train.errors import DataError
from train.progress import Advance

# Raised whenever the same input would give different files.
_LAYOUT = 3


@dataclass(frozen=True, slots=True)
class Source:
    """Where data comes from and how it is turned into a dataset."""

    folder: Path
    cache: Path
    """folder for the datasets that are built"""
    front_end: FrontEnd | None = None
    """None: the dataset's own, or the default"""
    splits: Path | None = None
    """folder of `train.txt`, `valid.txt` or a table; None for the folder's own `tracks.csv`"""
    plan: SplitPlan = field(default_factory=SplitPlan)
    """how it is split instead"""
    renditions: bool = False
    """whether to add renditions of its audio"""

    @property
    def audio(self) -> Path | None:
        """The folder of its audio files; None for a finished dataset."""
        return None if is_dataset(self.folder) else self.folder


def prepare(source: Source, advance: Advance) -> Prepared:
    """The dataset of a source, split as planned. Raises DataError."""
    return plan.apply(make(source, advance), source.plan)


def make(source: Source, advance: Advance) -> Dataset:
    """The dataset of a source: a dataset itself, or a folder of audio.

    Files are built only once. Its tracks are in the splits that the source gives, or in none.
    Raises DataError.
    """
    if not source.folder.is_dir():
        raise DataError(f"{source.folder} is not a folder")
    if not is_dataset(source.folder):
        return _build(source, advance)
    if source.renditions:
        raise DataError(f"{source.folder} is a finished dataset: renditions can't be added")
    data = Dataset.load(source.folder)
    _check_front_end(source, data)
    if source.splits is None:
        return data
    return plan.apply(data, SplitPlan(by="given", lists=source.splits)).data


def find(digest: str, places: list[Path]) -> Dataset | None:
    """The dataset whose files have this digest: one of `places`, or in one of them."""
    for folder in places:
        for candidate in (folder, *sorted(folder.glob("*"))):
            if is_dataset(candidate):
                with contextlib.suppress(DataError):  # a broken one is not the one wanted
                    data = Dataset.load(candidate)
                    if data.file_digest == digest:
                        return data
    return None


def _check_front_end(source: Source, data: Dataset) -> None:
    if source.front_end is None or source.front_end == data.front_end:
        return
    wanted, has = asdict(source.front_end), asdict(data.front_end)
    wrong = ", ".join(f"{name} {has[name]}" for name in has if has[name] != wanted[name])
    raise DataError(f"{source.folder} is a finished dataset, made with {wrong}")


def _build(source: Source, advance: Advance) -> Dataset:
    front_end = source.front_end or FrontEnd()
    given = splits.read(source.splits) if source.splits else None
    listing = audio_files.find(source.folder)
    if given is None and (source.folder / "tracks.csv").is_file():
        given = splits.read(source.folder / "tracks.csv")
    parts = [file.path for file in listing.files]
    kinds = RENDITIONS if source.renditions else ()
    out = source.cache / _key(front_end, parts, given, kinds)
    if is_dataset(out):
        return Dataset.load(out)
    split_by = NO_SPLIT if given is None else "as given"
    return gtzan.build(listing, out, front_end, given or {}, split_by, advance, kinds)


def _key(
    front_end: FrontEnd,
    files: list[Path],
    given: splits.Splits | None,
    kinds: tuple[Rendition, ...],
) -> str:
    """Name of the dataset built from these files; it changes whenever anything about them does."""
    about = [_LAYOUT, front_end.to_dict(), _stats(files), given]
    if kinds:
        about.append([asdict(kind) for kind in kinds])
    text = json.dumps(about, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _stats(files: list[Path]) -> list[tuple[str, int, int]]:
    try:
        stats = [path.stat() for path in files]
    except OSError as error:
        raise DataError(f"{error.filename} can't be read: {error.strerror}") from error
    return [
        (path.as_posix(), stat.st_size, stat.st_mtime_ns)
        for path, stat in zip(files, stats, strict=True)
    ]
