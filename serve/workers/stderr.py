"""Logs what a child process writes to its standard error."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import IO

_LOG = logging.getLogger(__name__)
# Most bytes of one child to log.
_MAX_LOGGED = 1 << 13
# Most bytes to read at a time, and when closing.
_BLOCK, _MAX_LEFT = 1 << 13, 1 << 16


class StandardError:
    """Logs a child's standard error, quoted, up to a limit, and discards the rest.

    The child never gets our own standard error: text on a terminal can make the terminal send input
    as if it were typed, and text in a log can imitate log lines.
    """

    def __init__(self, pipe: IO[bytes], who: str) -> None:
        self._pipe = pipe
        self._who = who
        self._left = _MAX_LOGGED
        #: set when the pipe is closed, at either end
        self.ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        os.set_blocking(pipe.fileno(), False)
        self._loop.add_reader(pipe.fileno(), self._take)

    def close(self) -> None:
        """Log what has been written so far, and stop reading."""
        taken = 0
        while taken < _MAX_LEFT and (size := self._take()):
            taken += size
        self._end()

    def _take(self) -> int:
        """Read and log a block; returns its size in bytes."""
        if self._pipe.closed:
            return 0
        try:
            said = os.read(self._pipe.fileno(), _BLOCK)
        except BlockingIOError:
            return 0
        if self._left and said:
            words = said[: self._left].decode("utf-8", "replace")
            _LOG.warning("%s says: %r", self._who, words)
        self._left = max(0, self._left - len(said))
        if not said:
            self._end()
        return len(said)

    def _end(self) -> None:
        if not self._pipe.closed:
            self._loop.remove_reader(self._pipe.fileno())
            self._pipe.close()
            self.ended.set()
