"""The pipe by which a child hears its job, and that its parent is gone.

The parent holds the other end as long as it lives, and the kernel closes it however it dies. That
works everywhere, unlike Linux's parent-death signal, which also misses grandchildren.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import NoReturn

#: Longest line listened to, in bytes.
MAX_LINE = 64 << 10


def kill_own_group() -> NoReturn:
    """End this process and everything it started, at once."""
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)  # not the group's leader: somebody started it by hand, whose group it is


def first_line(fd: int) -> bytes | None:
    """Wait for the first line of `fd`; None where it ends before, or the line is too long."""
    held = b""
    while len(held) <= MAX_LINE and (block := os.read(fd, MAX_LINE)):
        held += block
        line, newline, _ = held.partition(b"\n")
        if newline:
            return line
    return None


def watch(fd: int, on_end: Callable[[], None] = kill_own_group) -> None:
    """Read `fd` in a thread, and at its end call `on_end`."""

    def read() -> None:
        while os.read(fd, MAX_LINE):
            pass
        on_end()

    threading.Thread(target=read, name="parent watch", daemon=True).start()
