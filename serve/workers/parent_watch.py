"""The pipe from which a child reads its job, and by which it notices that its parent is gone.

The parent keeps the other end open, and the kernel closes it however the parent dies. This works
everywhere. Linux's parent-death signal does not, and it also misses grandchildren.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import NoReturn

#: Longest line that is accepted, in bytes.
MAX_LINE = 64 << 10


def kill_own_group() -> NoReturn:
    """End this process and everything it started, at once."""
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)  # not the leader: started by hand, in somebody else's group


def first_line(fd: int) -> bytes | None:
    """Wait for the first line of `fd`; None if `fd` ends before it does, or it is too long."""
    held = b""
    while len(held) <= MAX_LINE and (block := os.read(fd, MAX_LINE)):
        held += block
        line, newline, _ = held.partition(b"\n")
        if newline:
            return line
    return None


def watch(fd: int, on_end: Callable[[], None] = kill_own_group) -> None:
    """Read `fd` in a thread, and call `on_end` when it is closed."""

    def read() -> None:
        while os.read(fd, MAX_LINE):
            pass
        on_end()

    threading.Thread(target=read, name="parent watch", daemon=True).start()
