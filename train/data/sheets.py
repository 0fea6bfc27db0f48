"""Tables and lists of tracks, as editors and spreadsheets write them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from serve.text import encoding_of
from train.errors import DataError


def lines(path: Path) -> list[str]:
    """The lines of a list, stripped; raise DataError if it can't be read."""
    return [line for raw in _text(path).split("\n") if (line := raw.strip())]


def rows(path: Path, *columns: str) -> Sequence[Mapping[str, str]]:
    """The rows of a table that name a track: column in lower case to stripped cell.

    Cells are separated by commas, semicolons or tabs. Raises DataError if the table can't be
    read, or lacks one of the columns.
    """
    text = _text(path)
    head = text.partition("\n")[0]
    table = csv.reader(io.StringIO(text), delimiter=max(",;\t", key=head.count))
    try:
        names = [name.strip().casefold() for name in next(table, [])]
        found = [dict(zip(names, map(str.strip, row), strict=False)) for row in table]
    except csv.Error as error:
        raise DataError(f"{path} can't be read: {error}") from error
    if missing := [name for name in columns if name not in names]:
        raise DataError(f"{path} has no column {missing[0]!r}")
    empty = dict.fromkeys(names, "")
    return [empty | row for row in found if row.get("track")]


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        text = content.decode(encoding_of(content))
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} can't be read: it is not UTF-8 ({error.reason})") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")
