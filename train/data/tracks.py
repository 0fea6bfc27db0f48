"""The tracks of a dataset, and the table that lists them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

SPLITS = ("train", "valid", "test", "none")
# Columns that a table may lack, and their defaults.
_OPTIONAL = {"rendition": "", "artist": "", "weight": 1.0}


@dataclass(frozen=True, slots=True)
class Track:
    """One track of a dataset: where its frames are, and what it is."""

    track: str
    genre: str
    split: str
    start: int = 0
    """its first row of `mel_db`"""
    frames: int = 0
    """rows of `mel_db`"""
    source_hz: int = 0
    """sample rate of the recording it was made from, 0 where unknown"""
    rendition: str = ""
    """name of an altered copy, used in training only; empty for the track itself"""
    artist: str = ""
    """empty if unknown"""
    weight: float = 1.0
    """how much it counts in training, relative to other tracks of its genre"""


def read_tracks(path: Path) -> tuple[Track, ...]:
    """The tracks of a table; raise OSError, KeyError or ValueError if it is broken."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        return tuple(_track(row) for row in csv.DictReader(file))


def write_tracks(path: Path, tracks: Iterable[Track]) -> None:
    """Write the table of tracks."""
    path.write_text(table(tracks), encoding="utf-8", newline="")


def table(tracks: Iterable[Track]) -> str:
    """The table as text (CSV, RFC 4180), without optional columns that hold only defaults."""
    rows = [asdict(track) for track in tracks]
    columns = [field.name for field in fields(Track)]
    for name, usual in _OPTIONAL.items():
        if all(row[name] == usual for row in rows):
            columns.remove(name)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _track(row: dict[str, str]) -> Track:
    start, frames, source_hz = (int(row[key]) for key in ("start", "frames", "source_hz"))
    name, genre, split = (row[key] for key in ("track", "genre", "split"))
    rendition, artist = (row.get(key) or "" for key in ("rendition", "artist"))
    weight = float(row.get("weight") or 1.0)
    return Track(name, genre, split, start, frames, source_hz, rendition, artist, weight)
