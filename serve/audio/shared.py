"""Memory that the server shares with its decoder processes: a descriptor and no name."""

from __future__ import annotations

import fcntl
import mmap
import os
import tempfile
from typing import IO, TYPE_CHECKING, Self

import numpy as np

from serve.errors import TooBig

# The server itself makes no spectrogram: it starts sooner without SciPy.
if TYPE_CHECKING:
    from serve.audio.mel import Float32


class SharedFeatures:
    """An array of a fixed shape, filled with zeros at first."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._file = _anonymous_file("topgenre-features")
        size = 4 * int(np.prod(shape))
        self._file.truncate(size)
        if hasattr(fcntl, "F_ADD_SEALS"):
            # Whoever made it smaller would take the memory from under the server.
            fcntl.fcntl(self._file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        self.array: Float32 = np.frombuffer(mmap.mmap(self._file.fileno(), size), np.float32)
        self.array = self.array.reshape(shape)

    def fileno(self) -> int:
        """Its descriptor."""
        return self._file.fileno()

    def close(self) -> None:
        """Close the descriptor; the array stays valid."""
        self._file.close()


class SharedMedia:
    """A track's encoded bytes, at most `max_bytes` of them; to be used as a context."""

    def __init__(self, max_bytes: int) -> None:
        self._file = _anonymous_file("topgenre-media")
        self._max_bytes = max_bytes
        #: bytes written so far
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def fileno(self) -> int:
        """Its descriptor."""
        return self._file.fileno()

    def write(self, block: bytes) -> None:
        """Add bytes; raise TooBig where there are too many."""
        if self.size + len(block) > self._max_bytes:
            raise TooBig("Decoding this takes too much memory.")
        self.size += len(block)
        while block:
            block = block[self._file.write(block) :]


def _anonymous_file(name: str) -> IO[bytes]:
    # Nothing has to be cleaned up, whoever dies.
    if hasattr(os, "memfd_create"):
        flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
        return os.fdopen(os.memfd_create(name, flags), "r+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)
