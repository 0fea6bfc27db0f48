"""A track's media in shared memory, as a decoder process sees it grow."""

from __future__ import annotations

import io
import mmap
import os
import time
from typing import IO, cast

from serve.audio import messages
from serve.audio.parts import Joint


class ArrivingMedia:
    """Media whose bytes lie in `descriptor`, as far as the messages on `channel` tell.

    Other messages about the part that is decoded come this way too, and are kept: `until` is the
    newest joint, and `alone` says that nobody else writes features.
    """

    def __init__(self, channel: messages.Channel, descriptor: int) -> None:
        self._channel = channel
        self._descriptor = descriptor
        self._position = self._size = 0
        self._ended = False
        self._whole = False
        self._alone = False
        self.until: Joint | None = None
        #: seconds spent waiting for bytes
        self.waited_s = 0.0

    @property
    def taken_bytes(self) -> int:
        """Bytes that have been read, as long as they are read in order; 0 otherwise."""
        return 0 if self._whole else self._position

    def read(self, size: int) -> bytes:
        """At most `size` bytes, as soon as there is one; b"" at the end."""
        while self._position == self._size and not self._ended:
            self._wait()
        size = min(size, self._size - self._position)
        block = os.pread(self._descriptor, size, self._position)
        self._position += len(block)
        return block

    def whole(self) -> IO[bytes]:
        """Wait for all of it; a file that can seek."""
        self._whole = True
        while not self._ended:
            self._wait()
        if not self._size:
            return io.BytesIO()
        try:
            memory = mmap.mmap(self._descriptor, self._size, access=mmap.ACCESS_READ)
        except OSError as error:
            raise MemoryError from error
        return cast(IO[bytes], memory)

    def wait_until_alone(self) -> None:
        """Wait until nobody else writes features."""
        while not self._alone:
            self._wait()

    def look(self) -> None:
        """Take notice of what has been said, without waiting."""
        while message := self._channel.look():
            self._note(message)

    def _wait(self) -> None:
        start = time.perf_counter()
        self._note(self._channel.wait())
        self.waited_s += time.perf_counter() - start

    def _note(self, message: messages.Message) -> None:
        kind, values = message
        if kind == messages.GROWN:
            self._size = values["size"]
        elif kind == messages.END:
            self._ended = True
        elif kind == messages.UNTIL:
            self.until = Joint(**values)
        elif kind == messages.ALONE:
            self._alone = True
