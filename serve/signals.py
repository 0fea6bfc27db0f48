"""Signals that are heard whatever the main thread does."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager


@contextmanager
def heard(numbers: Collection[int], tell: Callable[[int], None]) -> Iterator[None]:
    """While the context lasts, call `tell` with each of these signals, in a thread of its own.

    A handler of Python's runs in the main thread, which may be in a write that never returns. To
    be used in the main thread.
    """
    reading, writing = socket.socketpair()
    writing.setblocking(False)

    def listen() -> None:
        with reading:
            while number := reading.recv(1):
                if number[0] in numbers:
                    tell(number[0])

    threading.Thread(target=listen, daemon=True).start()
    wakeup = signal.set_wakeup_fd(writing.fileno())
    handlers = {number: signal.signal(number, _nothing) for number in numbers}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup)
        writing.close()


def _nothing(*_: object) -> None: ...
