"""One hostile file, and what may come of it."""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass

#: What a file may be found to be, whatever is wrong with it. A fault of the server is not among it.
ANY = frozenset({"ok", "undecodable", "too_short", "too_long", "too_big", "silent"})


@dataclass(frozen=True)
class Case:
    """`expected` are codes of errors, or "ok" for an answer."""

    name: str
    make: Callable[[], bytes]
    expected: Set[str]
