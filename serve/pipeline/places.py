"""Limits how many tracks are processed at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from serve.errors import Overloaded


class Places:
    """At most `most` tracks have a place; further ones are refused."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.taken = 0

    def check(self) -> None:
        """Raise Overloaded if all places are taken."""
        if self.taken >= self._most:
            raise Overloaded(retry_after_s=1.0)

    @contextmanager
    def take(self) -> Iterator[None]:
        """Hold a place while the context lasts; raise Overloaded if all are taken."""
        self.check()
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1
