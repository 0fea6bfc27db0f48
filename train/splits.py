"""Which tracks are trained on and which are only looked at."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np

from train.errors import DataError
from train.tracks import SPLITS

AUDIO_SUFFIXES = (".wav", ".au", ".flac", ".mp3", ".ogg")

Splits = dict[str, str]
"""Track to split."""


def track_name(path: str) -> str:
    """The track that a path `genre/file` or a name means: `blues.00001` in each of GTZAN's forms.

    Elsewhere files of two genres may share a name, so the genre stays part of it.
    """
    pure = PurePosixPath(path.replace("\\", "/"))
    name = pure.stem if pure.suffix.lower() in AUDIO_SUFFIXES else pure.name
    genre = pure.parent.name
    return name if not genre or name.startswith(f"{genre}.") else f"{genre}/{name}"


def read(path: Path) -> Splits:
    """Splits from a folder of `train.txt`, `valid.txt`, … or a table with columns track, split.

    Raises DataError where there are none, one is unknown, or a track is in two.
    """
    return _read_table(path) if path.is_file() else _read_lists(path)


def by_chance(tracks: Iterable[tuple[str, str]], seed: int, valid: float = 0.2) -> Splits:
    """Splits of (track, genre) at random within each genre.

    Artists land on both sides, so scores on `valid` flatter: new artists are harder.
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
        if not path.is_file():
            continue
        for line in path.read_text(encoding="utf-8").splitlines():
            if not line.strip():
                continue
            name = track_name(line.strip())
            if splits.setdefault(name, split) != split:
                raise DataError(f"{name} is in both {splits[name]}.txt and {split}.txt")
    if not {"train", "valid"} <= set(splits.values()):
        raise DataError(f"{folder} has no train.txt and valid.txt that name tracks")
    return splits


def _read_table(path: Path) -> Splits:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            splits = {track_name(row["track"]): row["split"] for row in csv.DictReader(file)}
    except KeyError as error:
        raise DataError(f"{path} has no column {error}") from None
    if wrong := set(splits.values()) - set(SPLITS):
        raise DataError(f"{path} has unknown splits: {', '.join(sorted(map(str, wrong)))}")
    return splits
