"""Warnings about a dataset that is probably not as intended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from train.data.dataset import NO_SPLIT, Dataset


def warnings_of(data: Dataset) -> Iterator[str]:
    """One sentence per warning."""
    if len(data.genres) == 1:
        yield f"There is only one genre, {data.genres[0]!r}: nothing to tell it apart from."
    yield from _alike(data)
    yield from _few(data)


def unmatched(data: Dataset, path: Path, named: Collection[str]) -> Iterator[str]:
    """A sentence about tracks that are in a table or list, but not in the data."""
    tracks = {track.track for track in data.tracks}
    if lost := [name for name in named if name not in tracks]:
        number = f"{len(lost)} of {len(named)} tracks that {path} names"
        yield f"{number} are not in the data, such as {lost[0]!r}."


def _alike(data: Dataset) -> Iterator[str]:
    of_word: dict[str, list[str]] = {}
    for genre in data.genres:
        of_word.setdefault(" ".join(genre.casefold().split()), []).append(genre)
    for genres in of_word.values():
        if len(genres) > 1:
            yield f"{' and '.join(map(repr, genres))} are treated as different genres."


def _few(data: Dataset) -> Iterator[str]:
    count = Counter((track.genre, track.split) for track in data.tracks)
    tracks = Counter(track.genre for track in data.tracks)
    parts = () if data.split_by == NO_SPLIT else ("train", "valid")
    for genre in data.genres:
        missing = [part for part in parts if not count[genre, part]]
        if tracks[genre] == 1:
            yield f"The genre {genre!r} has only one track."
        elif missing:
            yield f"The genre {genre!r} has no track in {' and '.join(missing)}."
