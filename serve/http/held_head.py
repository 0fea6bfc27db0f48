"""Sends the head of an answer together with what follows it, in one write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class HeldHead:
    """A connection's transport for one answer, which holds back the head until more is written.

    Each write costs a system call and usually wakes the client up, so one is better than two.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        close: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._close = close
        self._head = b""
        self._release: asyncio.Handle | None = None

    def write(self, data: bytes) -> None:
        """Write; the first write is held back until the next one or the event loop's next turn."""
        if self._release is None:
            self._head = data
            self._release = self._loop.call_soon(self._flush)
            return
        if self._head:
            self._release.cancel()
            data, self._head = self._head + data, b""
        self._transport.write(data)

    def is_closing(self) -> bool:
        """Whether the connection is closed or closing."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Close the connection when everything is written."""
        self._flush()
        self._close()

    def _flush(self) -> None:
        head, self._head = self._head, b""
        if head and not self._transport.is_closing():
            self._transport.write(head)
