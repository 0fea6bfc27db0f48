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

_SEALS = hasattr(fcntl, "F_ADD_SEALS")


class SharedFeatures:
    """An array of a fixed shape, filled with zeros at first; to be used as a context."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._file = _anonymous_file("topgenre-features")
        size = 4 * int(np.prod(shape))
        self._file.truncate(size)
        if _SEALS:
            # Whoever made it smaller would take the memory from under the server.
            _seal(self._file, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        self.array: Float32 = np.frombuffer(mmap.mmap(self._file.fileno(), size), np.float32)
        self.array = self.array.reshape(shape)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the descriptor and let go of the array, which stays valid for who has it."""
        self._file.close()
        # It holds a descriptor of its own, which would wait for the collector of cycles.
        self.__dict__.pop("array", None)

    def fileno(self) -> int:
        """Its descriptor."""
        return self._file.fileno()


class SharedMedia:
    """A track's encoded bytes, at most `max_bytes` of them; to be used as a context."""

    def __init__(self, max_bytes: int) -> None:
        self._file = _anonymous_file("topgenre-media")
        if _SEALS:
            _seal(self._file, fcntl.F_SEAL_SHRINK)
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


def _seal(file: IO[bytes], seals: int) -> None:
    # And nobody may add more, by which it could be written to no longer.
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, seals | fcntl.F_SEAL_SEAL)


def _anonymous_file(name: str) -> IO[bytes]:
    # Nothing has to be cleaned up, whoever dies.
    if hasattr(os, "memfd_create"):
        flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
        return os.fdopen(os.memfd_create(name, flags), "r+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)
