"""A folder and files that only the server's own user can read and write."""

from __future__ import annotations

import logging
import os
import stat
import threading
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

_LOG = logging.getLogger(__name__)
# A thread that closes the file that it has just created would release the locks that SQLite holds
# on it for another thread.
_MAKING = threading.Lock()

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def make_private(file: Path, beside: Collection[str]) -> None:
    """Create the file and its folder if missing, accessible to their owner alone.

    `beside` names the other files of ours in the folder. Wider permissions than 0700 and 0600 are
    narrowed, with a warning in the log; files that other users could write are deleted, because
    they may contain anything. Raises PermissionError for a file or folder of another user, for
    anything but a regular file, and for a folder that other users can access and that contains
    other files than ours: it may be meant for everybody.
    """
    names = {file.name, *beside}
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _MAKING:
        _narrow_folder(file.parent, names)
        _narrow_files(file.parent, names)
        with suppress(FileExistsError):
            file.touch(mode=0o600, exist_ok=False)


def _narrow_folder(folder: Path, names: set[str]) -> None:
    mode = _own_mode(folder, folder.stat())
    more = sorted({path.name for path in folder.iterdir()} - names)
    if more and mode & _OTHERS:
        raise PermissionError(
            f"other users can access the folder {folder}, and it contains more than the cache "
            f"({more[0]}): give the cache a folder of its own, or run chmod 700 on this one"
        )
    _narrow(folder, mode, 0o700)


def _narrow_files(folder: Path, names: set[str]) -> None:
    found = dict(_files(folder, names))
    if any(mode & _OTHERS_WRITE for mode in found.values()):
        _LOG.warning("other users could write the cache in %s: it is deleted", folder)
        for path in found:
            path.unlink(missing_ok=True)
        return
    for path, mode in found.items():
        _narrow(path, mode, 0o600)


def _files(folder: Path, names: Collection[str]) -> Iterator[tuple[Path, int]]:
    """Those of our files that exist, with their modes; another server may remove some."""
    for path in (folder / name for name in names):
        with suppress(FileNotFoundError):
            status = path.lstat()
            if not stat.S_ISREG(status.st_mode):
                raise PermissionError(f"{path} is not a regular file")
            yield path, _own_mode(path, status)


def _own_mode(path: Path, status: os.stat_result) -> int:
    if status.st_uid != os.geteuid():
        raise PermissionError(f"{path} belongs to another user")
    return stat.S_IMODE(status.st_mode)


def _narrow(path: Path, mode: int, narrow: int) -> None:
    if mode & _OTHERS:
        with suppress(FileNotFoundError):
            path.chmod(narrow)
        _LOG.warning(
            "other users could access %s: its mode was %04o, and is now %04o", path, mode, narrow
        )
