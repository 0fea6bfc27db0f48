"""Where answers are kept for longer than a process lives."""

from __future__ import annotations

import zlib
from typing import Protocol

#: Bytes of a value at most, and of what it is compressed to: two hours with a hundred genres.
MAX_VALUE_BYTES = 4 << 20
_COMPRESSION = 1


class StoreError(Exception):
    """A store that can't be used now; the text says why, without secrets."""


class Store(Protocol):
    """Values by key, bounded in size and age. All of it may raise StoreError."""

    @property
    def entries(self) -> int:
        """Values in it, where it can tell; 0 otherwise."""
        ...

    @property
    def size_bytes(self) -> int:
        """Bytes that they take, where it can tell; 0 otherwise."""
        ...

    async def open(self) -> None:
        """Make it ready for use."""
        ...

    async def get(self, key: str) -> tuple[bytes, float] | None:
        """A value and its age in seconds; None where there is none, or none that is whole.

        The value has at most MAX_VALUE_BYTES. One whose age can't be right, as it comes from the
        future, is too old.
        """
        ...

    async def put(self, key: str, value: bytes) -> None:
        """Keep a value, unless it is too large, and let go of others where it takes too much."""
        ...

    async def close(self) -> None:
        """Free what it holds."""
        ...


def packed(value: bytes) -> bytes | None:
    """The value as it is stored: compressed. None where `unpacked` would refuse it."""
    if len(value) > MAX_VALUE_BYTES:
        return None
    compressed = zlib.compress(value, _COMPRESSION)
    return compressed if len(compressed) <= MAX_VALUE_BYTES else None


def unpacked(stored: object) -> bytes | None:
    """The value of what was stored; None where that is broken, or larger than is ever stored.

    What was stored may have been written by anybody: no more than MAX_VALUE_BYTES is inflated.
    """
    if not isinstance(stored, bytes) or len(stored) > MAX_VALUE_BYTES:
        return None
    inflater = zlib.decompressobj()
    try:
        # The one byte more lets a value of the largest size come to its end.
        value = inflater.decompress(stored, MAX_VALUE_BYTES + 1)
    except zlib.error:
        return None
    return value if inflater.eof and len(value) <= MAX_VALUE_BYTES else None
