"""Manifests, the tracks of a catalogue: a folder, a list, or a table in CSV or Parquet."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from serve.audio_files import below, has_audio_suffix, is_hidden
from serve.errors import BadRequest
from serve.library.catalogue.places import Place
from serve.library.tracks import is_link, listed

# The column with a track's path, URI or link.
_WHERE = ("path", "uri", "url")


@dataclass(frozen=True, slots=True)
class Entry:
    """A track: its id in the catalogue, and the path, URI or link where it is."""

    id: str
    path: str


class Manifest:
    """Tracks in order, each with a unique id.

    A million take some 200 MB. Paths are relative to `base`, which is not part of the digest: a
    catalogue may be gone on with where its folder is mounted elsewhere.
    """

    def __init__(self, base: Place, paths: Sequence[str], ids: Sequence[str] | None = None) -> None:
        # As bytes: file names need not be valid text.
        self._paths = pa.array(map(os.fsencode, paths), pa.large_binary())
        self._ids = pa.array(ids, pa.large_string()) if ids else None
        self._base = base
        self.digest = self._checked_digest()

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, number: int) -> Entry:
        path = os.fsdecode(self._paths[number].as_py())
        return Entry(self._id(number), self._located(path))

    def _id(self, number: int) -> str:
        if self._ids is not None:
            return str(self._ids[number].as_py())
        return bytes(self._paths[number].as_py()).decode("utf-8", "backslashreplace")

    def _located(self, path: str) -> str:
        if "://" in path or path.startswith("/"):
            return path
        name = (self._base / path).name
        return path if is_link(path) and not os.path.lexists(name) else name

    def _checked_digest(self) -> str:
        digest, seen = hashlib.sha256(), set[bytes]()
        for number in range(len(self)):
            # A hash takes less memory than the id.
            track = hashlib.blake2b(self._id(number).encode(), digest_size=16).digest()
            if track in seen:
                raise BadRequest(f"The manifest has two tracks with the id {self._id(number)}.")
            seen.add(track)
            digest.update(track + hashlib.sha256(self._paths[number].as_py()).digest())
        return digest.hexdigest()


def read_manifest(name: str) -> Manifest:
    """The tracks of a folder (recursively), or those that a .parquet, .csv or list file names.

    Raises BadRequest where there is none, or where it can't be read.
    """
    place = Place.of(name)
    try:
        manifest = _read(place)
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise BadRequest(f"{place.name}: {error}") from None
    if not len(manifest):
        raise BadRequest(f"{place.name}: There are no tracks in it.")
    return manifest


def _read(place: Place) -> Manifest:
    if place.is_folder():
        return Manifest(place, sorted(filter(has_audio_suffix, _names_in(place))))
    suffix = PurePosixPath(place.path).suffix.lower()
    content = place.read()
    if suffix == ".parquet":
        return _of_table(place, pq.read_table(io.BytesIO(content)))
    if suffix == ".csv":
        # An id may look like a number.
        as_text = dict.fromkeys((*_WHERE, "id"), pa.string())
        options = csv.ConvertOptions(column_types=as_text, strings_can_be_null=True)
        return _of_table(place, csv.read_csv(io.BytesIO(content), convert_options=options))
    return Manifest(place.parent, list(listed(content, place.name)))


def _of_table(place: Place, table: pa.Table) -> Manifest:
    where = [column for column in _WHERE if column in table.column_names]
    if len(where) != 1:
        found = ", ".join(table.column_names)
        raise BadRequest(
            f"{place.name}: It needs a column called path, uri or url; it has {found}."
        )
    paths = list(_texts(place, table, where[0]))
    ids = list(_texts(place, table, "id")) if "id" in table.column_names else None
    return Manifest(place.parent, paths, ids)


def _texts(place: Place, table: pa.Table, column: str) -> Iterator[str]:
    values: Iterable[object] = (value.as_py() for value in table.column(column))
    for number, value in enumerate(values, start=1):
        if value is None or value == "":
            raise BadRequest(f"{place.name}: Row {number} has no {column}.")
        yield str(value)


def _names_in(folder: Place) -> Iterator[str]:
    if not folder.bucket:
        return (str(path.relative_to(folder.path)) for path in below(Path(folder.path)))
    names = folder.names(recursive=True)
    return (name for name in names if not any(map(is_hidden, name.split("/"))))
