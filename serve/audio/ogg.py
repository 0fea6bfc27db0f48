"""Ogg files one after the other in one file ("chained"), as radio stations and editors make them.

FFmpeg goes on with the next one only where it has the same codec, rate and channels. See RFC 3533.
"""

from __future__ import annotations

import re
from collections.abc import Callable

#: What a page begins with.
OGG = b"OggS"
# The first page of a stream. All streams of a link begin before anything else comes.
_FIRST_PAGE = re.compile(rb"OggS\0[\x02\x03\x06\x07]")
# A page's header at its longest: until it is there whole, nothing of it is given out.
_HEADER_BYTES = 27 + 255
_READ_BYTES = 1 << 16


class OggLinks:
    """A file with `read` alone that ends with each link; `advance` goes on to the next."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._held = b""
        self._ended = False
        # Where the first pages of the link's streams end, counted from what is held.
        self._heads = 0

    def read(self, size: int) -> bytes:
        """The link's next bytes, at most `size`; b"" at its end."""
        while not self._ended and len(self._held) <= _HEADER_BYTES:
            block = self._read(max(size, _HEADER_BYTES))
            self._ended = not block
            self._held += block
        left = len(self._held) if self._ended else len(self._held) - _HEADER_BYTES
        given = min(size, self._boundary(left))
        block, self._held = self._held[:given], self._held[given:]
        self._heads -= given
        return block

    def advance(self) -> bool:
        """Pass over what is left of the link; whether there is another."""
        while self.read(_READ_BYTES):
            pass
        self._heads = 0
        return bool(self._held)

    def _boundary(self, left: int) -> int:
        """Where the next link begins, or `left`."""
        for page in _FIRST_PAGE.finditer(self._held, 0, left + 5):
            if page.start() > self._heads:
                return page.start()
            if page.start() == self._heads:
                self._heads = page.start() + _length(self._held[page.start() :])
        return left


def _length(page: bytes) -> int:
    """The bytes of the page that is begun with."""
    segments = page[26] if len(page) > 26 else 0
    return 27 + segments + sum(page[27 : 27 + segments])
