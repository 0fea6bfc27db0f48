"""The chunks of WAV, Wave64, AIFF and CAF files: a name and a size each, one after the other."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

#: The names of what holds the audio. No chunk behind it is looked for.
AUDIO = (b"data", b"SSND")


class Chunk(NamedTuple):
    """Where a chunk's content begins in its file, and the bytes that the file says it has.

    That may be any number, negative ones too.
    """

    start: int
    size: int


class _Layout(NamedTuple):
    first: int
    """where the first chunk begins"""
    header: struct.Struct
    counted: int
    """bytes of a header that count in its size"""
    step: int
    """chunks begin at multiples of it"""


_LAYOUTS = (
    (re.compile(rb"(?s)(?:RIFF|RF64|BW64).{4}WAVE"), _Layout(12, struct.Struct("<4sI"), 0, 2)),
    (re.compile(rb"(?s)RIFX.{4}WAVE|FORM.{4}AIF[FC]"), _Layout(12, struct.Struct(">4sI"), 0, 2)),
    (re.compile(rb"(?s)riff\x2e\x91.{18}wave"), _Layout(40, struct.Struct("<4s12xq"), 24, 8)),
    (re.compile(rb"caff"), _Layout(8, struct.Struct(">4sq"), 0, 1)),
)


def chunks_of(head: bytes) -> dict[bytes, Chunk]:
    """The chunks that are known from the first bytes of a file; {} for files without chunks."""
    layout = next((layout for begin, layout in _LAYOUTS if begin.match(head)), None)
    return dict(_walk(head, layout)) if layout else {}


def _walk(head: bytes, layout: _Layout) -> Iterator[tuple[bytes, Chunk]]:
    at, header = layout.first, layout.header
    while at + header.size <= len(head):
        name, size = header.unpack_from(head, at)
        chunk = Chunk(at + header.size, size - layout.counted)
        yield name, chunk
        if name in AUDIO or chunk.size < 0:
            return
        end = sum(chunk)
        at = end + -end % layout.step


def needed(chunks: dict[bytes, Chunk]) -> int:
    """How many bytes of the file tell of one more chunk; 0 where none is looked for."""
    if not chunks or any(name in chunks for name in AUDIO):
        return 0
    return max(map(sum, chunks.values())) + max(layout.header.size + 8 for _, layout in _LAYOUTS)
