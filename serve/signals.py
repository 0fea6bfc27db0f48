"""Signals that are heard whatever the main thread does."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Collection, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

# What is under way has so long to end after a signal.
_STOP_S = 5.0


def signalled(number: int) -> int:
    """The exit code after a signal, as shells have it."""
    return 128 + number


async def until_signalled(work: Callable[[], Coroutine[Any, Any, int | None]]) -> int:
    """Do the work and give its exit code; Ctrl-C or SIGTERM cancels it, and gives theirs.

    If that does not end the process soon, as where a full pipe is written to, nothing is waited for
    any longer: what is done has been written, and children end with their parent.
    """
    working = asyncio.ensure_future(work())
    loop = asyncio.get_running_loop()
    code = 0

    def stop(number: int) -> None:
        nonlocal code
        code = signalled(number)
        loop.call_soon_threadsafe(working.cancel)
        time.sleep(_STOP_S)
        os._exit(code)

    with heard((signal.SIGINT, signal.SIGTERM), stop):
        try:
            return await working or 0
        except asyncio.CancelledError:
            return code


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
