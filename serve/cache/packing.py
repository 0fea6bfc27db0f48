"""Values as they are stored: compressed, and bounded again when they are read.

Whoever shares the store could put there what inflates a thousandfold.
"""

from __future__ import annotations

import zlib

_COMPRESSION = 1
#: Bytes of a value; an answer of two hours takes one and a half million.
MAX_VALUE = 8 << 20


def pack(value: bytes) -> bytes:
    """A value, compressed."""
    return zlib.compress(value, _COMPRESSION)


def unpack(stored: bytes) -> bytes | None:
    """The value; None where it is broken, or larger than any."""
    inflating = zlib.decompressobj()
    try:
        value = inflating.decompress(stored, MAX_VALUE)
    except (zlib.error, TypeError):
        return None
    return value if inflating.eof and not inflating.unconsumed_tail else None
