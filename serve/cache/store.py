"""Stores that keep answers beyond the life of a process."""

from __future__ import annotations

import zlib
from typing import Protocol

#: Most bytes of a value, compressed or not: enough for two hours with a hundred genres.
MAX_VALUE_BYTES = 4 << 20
#: Longest wait for a store, in seconds: an answer can also be computed again.
PATIENCE_S = 0.5
_COMPRESSION = 1


class StoreError(Exception):
    """The store can't be used now; the text says why, without secrets."""


class Store(Protocol):
    """Values by key, bounded in size and age. Every method may raise StoreError."""

    @property
    def entries(self) -> int:
        """Number of values; 0 if unknown."""
        ...

    @property
    def size_bytes(self) -> int:
        """Bytes they take; 0 if unknown."""
        ...

    async def open(self) -> None:
        """Make it ready for use."""
        ...

    async def get(self, key: str) -> tuple[bytes, float] | None:
        """A value and its age in seconds; None if it is absent or broken.

        The value has at most MAX_VALUE_BYTES. A value from the future counts as too old.
        """
        ...

    async def put(self, key: str, value: bytes) -> None:
        """Store a value, unless it is too large; evict others when over the limit."""
        ...

    async def close(self) -> None:
        """Close connections and files."""
        ...


def packed(value: bytes) -> bytes | None:
    """The value compressed for storing; None if `unpacked` would refuse it."""
    if len(value) > MAX_VALUE_BYTES:
        return None
    compressed = zlib.compress(value, _COMPRESSION)
    return compressed if len(compressed) <= MAX_VALUE_BYTES else None


def unpacked(stored: object) -> bytes | None:
    """The stored value, inflated; None if it is broken or too large.

    It is untrusted, so inflating stops just above MAX_VALUE_BYTES.
    """
    if not isinstance(stored, bytes) or len(stored) > MAX_VALUE_BYTES:
        return None
    inflater = zlib.decompressobj()
    try:
        # One byte more, so that the decompressor reaches the end of a value of the largest size.
        value = inflater.decompress(stored, MAX_VALUE_BYTES + 1)
    except zlib.error:
        return None
    return value if inflater.eof and len(value) <= MAX_VALUE_BYTES else None
