"""The pipe by which a child hears its job, and that its parent is gone.

The parent holds the other end as long as it lives, and the kernel closes it however it dies. That
works everywhere, unlike Linux's parent-death signal, which also misses grandchildren.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from queue import SimpleQueue

#: Longest line listened to, in bytes.
MAX_LINE = 64 << 10


def kill_group() -> None:
    """End this process and everything it started, at once."""
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)  # not the group's leader: somebody started it by hand, whose group it is


def listen(fd: int, on_end: Callable[[], None] = kill_group) -> SimpleQueue[bytes]:
    """Read `fd` in a thread: its first line goes into the queue; at its end call `on_end`."""
    lines: SimpleQueue[bytes] = SimpleQueue()

    def read() -> None:
        held, told = b"", False
        while block := os.read(fd, MAX_LINE):
            if told:
                continue
            held += block
            line, newline, _ = held.partition(b"\n")
            if newline:
                lines.put(line)
                told = True
            elif len(held) > MAX_LINE:
                break
        on_end()

    threading.Thread(target=read, name="lifeline", daemon=True).start()
    return lines
