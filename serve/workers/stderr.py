"""What a child process says on its standard error."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import IO

_LOG = logging.getLogger(__name__)
# Bytes of one child that are logged.
_MAX_LOGGED = 1 << 13
# As much is taken at a time, and at its end.
_BLOCK, _MAX_LEFT = 1 << 13, 1 << 16


class StandardError:
    """Logs what comes out of a child's standard error, quoted, up to a bound; then only takes it.

    It is never our own: what is written to a terminal may be read back from it as if typed, and a
    log may be told lines that look like its own.
    """

    def __init__(self, pipe: IO[bytes], who: str) -> None:
        self._pipe = pipe
        self._who = who
        self._left = _MAX_LOGGED
        self._loop = asyncio.get_running_loop()
        os.set_blocking(pipe.fileno(), False)
        self._loop.add_reader(pipe.fileno(), self._take)

    def close(self) -> None:
        """Take what is still there, and hear no more."""
        taken = 0
        while taken < _MAX_LEFT and (size := self._take()):
            taken += size
        self._end()

    def _take(self) -> int:
        """Take a block; its bytes."""
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
