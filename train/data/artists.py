"""Artists of tracks: folds that keep an artist's tracks together, and weights of tracks."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from serve.inference.outputs import Float64
from train.data import sheets
from train.data.splits import track_name
from train.data.tracks import Track
from train.errors import DataError

Artists = Mapping[str, str]
"""Track to artist."""
Rows = Sequence[tuple[str, Mapping[str, str]]]


def read(path: Path) -> Artists:
    """The table with columns track, artist; rows without an artist are left out.

    Case and spacing of names don't matter; a list of several artists is an artist of its own.
    """
    return _artists(_rows(path))


def with_artists(tracks: Iterable[Track], path: Path) -> tuple[Track, ...]:
    """Tracks with the artists of the table, and with the weights of its column `weight`, if any.

    Raises DataError if a weight is not a number above 0.
    """
    rows = _rows(path)
    known = _artists(rows)
    weights = {name: _weight(path, name, row.get("weight") or "1") for name, row in rows}
    return tuple(
        replace(of, artist=known.get(of.track, ""), weight=weights.get(of.track, 1.0))
        for of in tracks
    )


def shares(tracks: Sequence[Track]) -> Float64:
    """How much each track (n,) counts in training, before genres are balanced.

    That is its weight over the square root of its artist's number of tracks, so that an album does
    not count like as many artists. Each track of an unknown artist counts as an artist's only one.
    """
    number = Counter(track.artist for track in tracks)
    return np.array([of.weight / math.sqrt(number[of.artist] if of.artist else 1) for of in tracks])


def folds(
    tracks: Iterable[tuple[str, str]], artists: Artists, number: int, seed: int
) -> dict[str, int]:
    """The fold (0 to number - 1) of each of the tracks (track, genre).

    An artist's tracks are a group and share a fold; a track of an unknown artist is a group of its
    own. Groups are assigned, largest first, to the fold with the fewest tracks of their genres.
    Raises DataError if there are fewer groups than folds.
    """
    groups: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for track, genre in sorted(tracks):
        artist = artists.get(track)
        groups[("artist", artist) if artist else ("track", track)].append((track, genre))
    if not 2 <= number <= len(groups):
        raise DataError(f"{len(groups)} artists can't be split into {number} folds")
    names = sorted(groups)
    chance = np.random.default_rng(seed).permutation(len(names))
    order = sorted(range(len(names)), key=lambda i: (-len(groups[names[i]]), chance[i]))
    held: list[Counter[str]] = [Counter() for _ in range(number)]
    of_track: dict[str, int] = {}
    for index in order:
        group = groups[names[index]]
        fold = min(range(number), key=lambda f: (_rivals(held[f], group), held[f].total(), f))
        held[fold].update(genre for _, genre in group)
        of_track.update((track, fold) for track, _ in group)
    return of_track


def _artists(rows: Rows) -> Artists:
    normal = {name: " ".join(row["artist"].casefold().split()) for name, row in rows}
    return {track: artist for track, artist in normal.items() if artist}


def _rows(path: Path) -> Rows:
    """The rows of a table by their tracks."""
    return [(track_name(row["track"]), row) for row in sheets.rows(path, "track", "artist")]


def _weight(path: Path, track: str, text: str) -> float:
    try:
        weight = float(text.replace(",", "."))  # as in "0,3"
    except ValueError:
        weight = math.nan
    if not 0.0 < weight < math.inf:
        raise DataError(f"{path}: the weight of {track} is {text!r}, not a number above 0")
    return weight


def _rivals(held: Counter[str], group: list[tuple[str, str]]) -> int:
    return sum(held[genre] for _, genre in group)
