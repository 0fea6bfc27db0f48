"""Work that may never return, as reading from a network folder whose server has gone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


async def aside(work: Callable[[], T]) -> T:
    """What the work gives or raises, done in a thread that nobody waits for at the end.

    The threads of `asyncio.to_thread` have to come back before the process can end.
    """
    done: Future[T] = Future()
    done.set_running_or_notify_cancel()  # from here on it can't be cancelled, only be left

    def run() -> None:
        try:
            result = work()
        except BaseException as error:
            done.set_exception(error)
        else:
            done.set_result(result)

    threading.Thread(target=run, daemon=True).start()
    return await asyncio.wrap_future(done)
