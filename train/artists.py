"""Folds that keep an artist's tracks together."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from train.errors import DataError
from train.splits import track_name

Artists = Mapping[str, str]
"""Track to artist."""


def read(path: Path) -> Artists:
    """The table with columns track, artist; rows without an artist are left out.

    An artist is the same in any case and spacing; a list of several is an artist of its own.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [(track_name(row["track"]), row["artist"] or "") for row in csv.DictReader(file)]
    except KeyError as error:
        raise DataError(f"{path} has no column {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} can't be read: {error}") from error
    normal = {track: " ".join(artist.casefold().split()) for track, artist in rows}
    return {track: artist for track, artist in normal.items() if artist}


def folds(
    tracks: Iterable[tuple[str, str]], artists: Artists, number: int, seed: int
) -> dict[str, int]:
    """The fold (0 to number - 1) of each of the tracks (track, genre).

    All tracks of an artist are in one fold, tracks of unknown artists each on their own. Groups are
    dealt out, largest first, to the fold that has the fewest tracks of their genres. Raises
    DataError where there are fewer groups than folds.
    """
    groups: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for track, genre in sorted(tracks):
        artist = artists.get(track)
        groups[("artist", artist) if artist else ("track", track)].append((track, genre))
    if not 2 <= number <= len(groups):
        raise DataError(f"{len(groups)} artists can't be dealt to {number} folds")
    names = sorted(groups)
    chance = np.random.default_rng(seed).permutation(len(names))
    order = sorted(range(len(names)), key=lambda i: (-len(groups[names[i]]), chance[i]))
    held: list[Counter[str]] = [Counter() for _ in range(number)]
    of_track: dict[str, int] = {}
    for index in order:
        group = groups[names[index]]
        fold = min(range(number), key=lambda f: (_crowd(held[f], group), held[f].total(), f))
        held[fold].update(genre for _, genre in group)
        of_track.update((track, fold) for track, _ in group)
    return of_track


def _crowd(held: Counter[str], group: list[tuple[str, str]]) -> int:
    return sum(held[genre] for _, genre in group)
