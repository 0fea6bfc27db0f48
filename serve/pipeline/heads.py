"""The first bytes of known tracks."""

from __future__ import annotations

from collections import OrderedDict

_MOST = 10_000


class Heads:
    """An LRU set of the digests of their first bytes."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, None] = OrderedDict()

    def __contains__(self, head: bytes) -> bool:
        return head in self._known

    def add(self, head: bytes) -> None:
        """Add a digest, or mark it as recently used."""
        self._known[head] = None
        self._known.move_to_end(head)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
