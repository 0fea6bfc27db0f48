"""Which tracks are trained on, and which are held out."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np

from serve.audio_files import has_audio_suffix
from train.data import sheets
from train.data.tracks import SPLITS
from train.errors import DataError

Splits = dict[str, str]
"""Track to split."""


def track_name(path: str) -> str:
    """The track that a path `genre/file` or a name refers to: `blues.00001` in all GTZAN's forms.

    Elsewhere the genre stays part of the name, because files of two genres may have the same one.
    """
    # macOS stores accents decomposed (NFD), spreadsheets composed (NFC).
    pure = PurePosixPath(unicodedata.normalize("NFC", path.replace("\\", "/")))
    name = pure.stem if has_audio_suffix(pure) else pure.name
    genre = pure.parent.name
    return name if not genre or name.startswith(f"{genre}.") else f"{genre}/{name}"


def read(path: Path) -> Splits:
    """Splits from a folder of `train.txt`, `valid.txt`, … or a table with columns track, split.

    Raises DataError if there are none, one is unknown, or a track is in two.
    """
    return _read_table(path) if path.is_file() else _read_lists(path)


def by_chance(tracks: Iterable[tuple[str, str]], seed: int, valid: float = 0.2) -> Splits:
    """Splits of (track, genre) at random within each genre.

    Artists end up on both sides, so scores on `valid` are too high: new artists are harder.
    """
    of_genre = defaultdict(list)
    for track, genre in sorted(tracks):
        of_genre[genre].append(track)
    rng = np.random.default_rng(seed)
    splits: Splits = {}
    for names in of_genre.values():
        held = max(1, round(valid * len(names))) if len(names) > 1 else 0
        for place, index in enumerate(rng.permutation(len(names))):
            splits[names[index]] = "valid" if place < held else "train"
    return splits


def _read_lists(folder: Path) -> Splits:
    splits: Splits = {}
    for split in SPLITS:
        path = folder / f"{split}.txt"
        if path.is_file():
            _add(splits, ((line, split) for line in sheets.lines(path)), folder)
    if not {"train", "valid"} <= set(splits.values()):
        raise DataError(f"{folder} has no train.txt and valid.txt that name tracks")
    return splits


def _read_table(path: Path) -> Splits:
    splits: Splits = {}
    rows = sheets.rows(path, "track", "split")
    _add(splits, ((row["track"], row["split"].casefold()) for row in rows), path)
    if wrong := set(splits.values()) - set(SPLITS):
        raise DataError(f"{path} has unknown splits: {', '.join(sorted(wrong))}")
    return splits


def _add(splits: Splits, named: Iterable[tuple[str, str]], path: Path) -> None:
    for track, split in named:
        name = track_name(track)
        if splits.setdefault(name, split) != split:
            raise DataError(f"{path}: {name} is in both {splits[name]} and {split}")
