"""How many tracks are worked on at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from serve.errors import Overloaded


class Places:
    """So many tracks have a place; whoever comes on top is refused."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.taken = 0

    def check(self) -> None:
        """Raise Overloaded where there is no place for one more track."""
        if self.taken >= self._most:
            raise Overloaded(retry_after_s=1.0)

    @contextmanager
    def take(self) -> Iterator[None]:
        """Have a place while the context lasts; raise Overloaded where there is none."""
        self.check()
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1
