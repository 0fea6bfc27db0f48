"""The results of a run as lines of text, and the file that keeps them from run to run."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Protocol, Self

from serve.errors import BadRequest
from serve.text import encoding_of, one_line

#: A result: "track", "id" where it is known, and an answer or an error as in HTTP.
Record = dict[str, Any]


# Characters that JSON leaves as they are, but that end lines or control terminals.
_TO_ESCAPE = re.compile(r"[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
# Spreadsheets read text that begins like this as a formula, unless an apostrophe comes first.
_FORMULA = re.compile(r"'*\s*[=+\-@＝＋－＠]")
# Separates the warnings in a cell.
_BETWEEN = " | "


class Lines(Protocol):
    """A format of result files: how records become lines, and lines become records again."""

    head: str
    """the first line of a file"""
    start: str
    """how a file begins in any case"""

    def format(self, record: Record) -> str:
        """The line of a record."""
        ...

    def read(self, lines: Iterator[str]) -> Iterator[Record]:
        """The records in the lines of a file; raise ValueError for a line that is not a record."""
        ...

    def parse(self, line: str) -> Record:
        """The record in a line; raise ValueError if there is none."""
        ...

    def name(self, track: str) -> str:
        """How a track reads back from the file."""
        ...


class JsonLines:
    """One JSON object a line."""

    head = ""
    start = '{"track": '

    def format(self, record: Record) -> str:
        """The object."""
        text = json.dumps(record, ensure_ascii=False)
        return _TO_ESCAPE.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"

    def read(self, lines: Iterator[str]) -> Iterator[Record]:
        """The objects."""
        return map(self.parse, lines)

    def parse(self, line: str) -> Record:
        """The object."""
        record = json.loads(line)
        if not isinstance(record, dict) or "track" not in record:
            raise ValueError(line)
        return record

    def name(self, track: str) -> str:
        """The track as it is."""
        return track


class CsvLines:
    """A CSV table (RFC 4180 except for line ends) with a column for each genre, in percent.

    A record is one line, whatever is in its names, and no cell is a formula to a spreadsheet.
    """

    _BEFORE = ("track", "id", "video_title", "top_prediction", "music", "tags", "duration_s")
    _AFTER = ("warnings", "model", "code", "error")

    def __init__(self, genres: Sequence[str]) -> None:
        self._genres = genres
        self._columns = list(self._BEFORE)
        for genre in genres:
            column = one_line(genre)
            while column in (*self._columns, *self._AFTER):
                column += "_percent"
            self._columns.append(column)
        self._columns += self._AFTER
        self.start = self.head = self._line(map(_cell, self._columns))

    def format(self, record: Record) -> str:
        """The row: missing values are empty, and the timeline is left out."""
        flat = record | {
            "tags": "; ".join(f"{of['tag']} {of['probability']}" for of in record.get("tags", ())),
            "warnings": _BETWEEN.join(record.get("warnings", ())),
            "model": record.get("model", {}).get("sha256", ""),
        }
        results = record.get("results", {})
        # By position, not by name: a genre may have the name of another column.
        before, after = ([flat.get(name, "") for name in of] for of in (self._BEFORE, self._AFTER))
        return self._line(map(_cell, [*before, *map(results.get, self._genres), *after]))

    def read(self, lines: Iterator[str]) -> Iterator[Record]:
        """The rows as records, even if a spreadsheet has saved the table since."""
        if (head := next(lines, None)) is None:
            return
        for delimiter in ",;\t":
            if self._is_head(_cells(head, delimiter)):
                break
        else:
            raise BadRequest("This table has other columns than the results.")
        for line in lines:
            if any(values := _cells(line, delimiter)):
                yield self._record(values)

    def parse(self, line: str) -> Record:
        """The row as a record without timeline and timings."""
        return self._record(_cells(line, ","))

    def name(self, track: str) -> str:
        """The track in one line."""
        return _value(str(_cell(track)))

    def _is_head(self, values: list[str]) -> bool:
        return values == [_value(str(_cell(column))) for column in self._columns]

    def _record(self, values: list[str]) -> Record:
        values += [""] * (len(self._columns) - len(values))  # empty ones at the end may be lost
        first, end = len(self._BEFORE), len(self._BEFORE) + len(self._genres)
        before, shares, after = values[:first], values[first:end], values[end:]
        row = dict(zip((*self._BEFORE, *self._AFTER), (*before, *after), strict=True))
        if not row["track"]:
            raise ValueError(values)
        record: Record = {name: row[name] for name in ("track", "id") if row[name]}
        if row["code"]:
            return record | {"code": row["code"], "error": row["error"]}
        results = {genre: _number(share) for genre, share in zip(self._genres, shares, strict=True)}
        tags = (of.rpartition(" ") for of in row["tags"].split("; ") if of)
        return record | {
            "video_title": row["video_title"],
            "top_prediction": row["top_prediction"],
            "results": dict(sorted(results.items(), key=lambda item: -item[1])),
            "music": _number(row["music"]),
            "tags": [{"tag": tag, "probability": _number(share)} for tag, _, share in tags],
            "duration_s": _number(row["duration_s"]),
            "warnings": row["warnings"].split(_BETWEEN) if row["warnings"] else [],
            "model": {"sha256": row["model"]},
        }

    def _line(self, values: Any) -> str:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(values)
        return text.getvalue()


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = one_line(value)
    return f"'{text}" if _FORMULA.match(text) else text


def _cells(line: str, delimiter: str) -> list[str]:
    (values,) = csv.reader([line.rstrip("\r\n")], delimiter=delimiter)
    return list(map(_value, values))


def _value(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _number(cell: str) -> float:
    return float(cell.replace(",", "."))  # as a spreadsheet of many a country writes it


class ResultsFile:
    """A file that gains a line with every result and can be continued after any interruption.

    Results of this model are kept and known by their id and track; failures, results of other
    models and a last line that was broken off are forgotten. Raises BadRequest for a file that
    holds anything else, or is in use.
    """

    def __init__(self, path: Path, lines: Lines, model_sha256: str) -> None:
        self._path = path
        self._lines = lines
        self._model = model_sha256
        #: by id: where its results begin in the file, and the tracks that have them
        self._at: dict[str, int] = {}
        self._tracks: set[tuple[str, str]] = set()

    def __enter__(self) -> Self:
        try:
            with self._opened() as before:
                self._file = self._tidied(before)
        except BlockingIOError:
            raise BadRequest(f"{self._path}: Another run is writing to this file.") from None
        except OSError as error:
            raise BadRequest(f"{self._path}: {error.strerror}") from None
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def has(self, record_id: str, track: str) -> bool:
        """Whether there is a result for this track."""
        return (record_id, self._lines.name(track)) in self._tracks

    def get(self, record_id: str) -> Record | None:
        """The result for this id, whichever track has it, without "track"."""
        if record_id not in self._at:
            return None
        self._file.seek(self._at[record_id])
        record = self._lines.parse(self._file.readline().decode())
        del record["track"]
        return record

    def write(self, record: Record) -> None:
        """Append a result; it is in the file when this returns. Raises OSError."""
        at = self._file.seek(0, os.SEEK_END)
        self._file.write(self._lines.format(record).encode())
        self._file.flush()
        self._remember(record, at)

    def _remember(self, record: Record, at: int) -> None:
        if "id" in record and "code" not in record:
            self._at.setdefault(record["id"], at)
            self._tracks.add((record["id"], self._lines.name(record["track"])))

    def _opened(self) -> IO[bytes]:
        """The file, created if missing, and locked while it is open."""
        while True:
            if self._path.exists() and not self._path.is_file():
                raise BadRequest(f"{self._path}: Results can only be kept in a regular file.")
            file = self._path.open("a+b")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(file.fileno()), self._path.stat()):
                    return file
            except BaseException:
                file.close()
                raise
            file.close()  # another run has just replaced it

    def _tidied(self, before: IO[bytes]) -> IO[bytes]:
        # Into a new file that replaces the old one, so that an interruption loses nothing.
        path = self._path.resolve()
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        after = os.fdopen(descriptor, "w+b")
        try:
            fcntl.flock(after, fcntl.LOCK_EX | fcntl.LOCK_NB)
            after.write(self._lines.head.encode())
            for record in self._kept(before):
                self._remember(record, after.tell())
                after.write(self._lines.format(record).encode())
            after.flush()
            os.fsync(descriptor)
            os.fchmod(descriptor, os.fstat(before.fileno()).st_mode & 0o777)
            Path(name).replace(path)
        except BaseException:
            after.close()
            Path(name).unlink(missing_ok=True)
            raise
        return after

    def _kept(self, before: IO[bytes]) -> Iterator[Record]:
        number, start = 0, self._lines.start
        before.seek(0)
        encoding = encoding_of(before.read(2))
        before.seek(0)
        # Any line ends are accepted: no record contains CR or LF.
        text = io.TextIOWrapper(before, encoding, "surrogateescape")

        def lines() -> Iterator[str]:
            nonlocal number
            for number, line in enumerate(text, start=1):
                line.encode()  # or it is no text
                if line.endswith("\n"):
                    yield line
                elif number == 1 and not start.startswith(line[: len(start)]):
                    raise ValueError(line)

        try:
            for record in self._lines.read(lines()):
                if "code" not in record and record.get("model", {}).get("sha256") == self._model:
                    yield record
        except BadRequest as error:
            raise BadRequest(f"{self._path}: {error}") from None
        except (ValueError, csv.Error):
            raise BadRequest(f"{self._path}: Line {number} is not a result.") from None
        finally:
            text.detach()
