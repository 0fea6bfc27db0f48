"""Work that may never return, such as reading from a network folder whose server is gone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


async def aside(work: Callable[[], T]) -> T:
    """The result of work done in a daemon thread, which does not delay the exit of the process.

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
