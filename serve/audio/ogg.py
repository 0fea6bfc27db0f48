"""Chained Ogg: several streams one after the other in one file.

FFmpeg goes on from one to the next only where rate and channels stay the same.
Source: RFC 3533, section 4 (chaining) and 6 (the page header).
"""

from __future__ import annotations

from collections.abc import Iterator
from mmap import mmap

_CAPTURE = b"OggS"
_HEADER_BYTES, _FLAGS, _SEGMENTS = 27, 5, 26
_BEGINS = 2


def links(content: bytes | mmap) -> Iterator[tuple[int, int]]:
    """Where each stream of a chain begins and ends; all of `content` where it is no Ogg."""
    starts = [*_starts(content)] or [0]
    yield from zip([0, *starts[1:]], [*starts[1:], len(content)], strict=True)


def _starts(content: bytes | mmap) -> Iterator[int]:
    # A link may begin with a page for each of several streams at once.
    begun = False
    at = content.find(_CAPTURE)
    while at >= 0 and at + _HEADER_BYTES <= len(content):
        begins = bool(content[at + _FLAGS] & _BEGINS)
        if begins and not begun:
            yield at
        begun = begins
        segments = at + _HEADER_BYTES
        body = segments + content[at + _SEGMENTS]
        at = content.find(_CAPTURE, body + sum(content[segments:body]))
