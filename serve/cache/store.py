"""Where answers are kept for longer than a process lives."""

from __future__ import annotations

from typing import Protocol


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
        """A value and its age in seconds; None where there is none, or none that is whole."""
        ...

    async def put(self, key: str, value: bytes) -> None:
        """Keep a value, and let go of others where it takes too much."""
        ...

    async def close(self) -> None:
        """Free what it holds."""
        ...
