"""Reads regular files whole; pipes and devices are refused, never waited for."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from serve.errors import BadRequest, TooBig


def read(path: Path, limit: int) -> bytes:
    """The content of a file; raise TooBig past `limit` bytes, BadRequest for a non-regular file.

    Raises OSError where it can't be read.
    """
    check_regular(path, path.stat().st_mode)
    # It may be a pipe by now: opened like this, a pipe does not wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        check_regular(path, status.st_mode)
        if status.st_size <= limit:
            content = file.read(limit + 1)
            if len(content) <= limit:
                return content
    raise TooBig(f"The file is larger than the limit of {limit} bytes.")


def check_regular(path: Path, mode: int) -> None:
    """Raise BadRequest where a file's mode is that of a pipe, socket or device.

    Raises IsADirectoryError where it is a folder's.
    """
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise BadRequest("This is not a regular file.")
