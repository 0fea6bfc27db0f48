"""Answers and errors as Parquet rows, with the names that they have in HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

import pyarrow as pa

from serve.answer import Answer
from serve.library.catalogue.manifest import Entry
from serve.library.results import Record

# What depends on the run, or is only told where it is asked for; of the model its digest is kept.
_LEFT_OUT = {"model", "provider", "timings_ms", "cached", "clips", "mel", "request_id"}
# Numbers are as precise as in JSON.
_PLAIN = {str: pa.string(), float: pa.float64()}


def schema(genres: Sequence[str]) -> pa.Schema:
    """The columns: those of an answer; a failed track has only `code` and `error`."""
    answer = {name: of for name, of in get_type_hints(Answer).items() if name not in _LEFT_OUT}
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("path", pa.string(), nullable=False),
            ("digest", pa.string()),
            *((name, _column(of, genres)) for name, of in answer.items()),
            ("code", pa.string()),
            ("error", pa.string()),
            pa.field("model", pa.string(), nullable=False),
        ]
    )


def _column(of: Any, genres: Sequence[str]) -> pa.DataType:
    """Arrow's type for one of an answer's: a dict is by genre."""
    if get_origin(of) is dict:
        return pa.struct([(genre, _column(get_args(of)[1], genres)) for genre in genres])
    if get_origin(of) is tuple:
        return pa.list_(_column(get_args(of)[0], genres))
    if is_dataclass(of):
        members = get_type_hints(of).items()
        return pa.struct([(name, _column(member, genres)) for name, member in members])
    return _PLAIN[of]


def row(columns: pa.Schema, entry: Entry, record: Record, model: str) -> pa.RecordBatch:
    """A batch of one row, which takes a tenth of the memory of the record in Python."""
    values: dict[str, Any] = {name: record.get(name) for name in columns.names}
    values |= {
        "id": entry.id,
        "path": entry.path.encode("utf-8", "backslashreplace").decode(),
        "digest": record.get("id"),
        "model": model,
    }
    return pa.RecordBatch.from_pylist([values], schema=columns)
