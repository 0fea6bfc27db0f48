"""A timeout that does not run while this process gets no processor."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")

_PARTS = 40


async def in_time(work: Awaitable[T], within_s: float) -> T:
    """The result of `work`; raises TimeoutError, and whatever `work` raises.

    The limit is a sum of short waits. Where this process gets no processor for a while, what has
    arrived meanwhile is read before the next of them is over: it is not taken for a peer that is
    silent. On leaving, `work` has ended.
    """
    task = asyncio.ensure_future(work)
    try:
        for _ in range(_PARTS):
            await asyncio.wait((task,), timeout=within_s / _PARTS)
            if task.done():
                return task.result()
        raise TimeoutError
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
