"""A timeout that does not expire only because this process got no CPU time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")

_PARTS = 40


async def in_time(work: Awaitable[T], within_s: float) -> T:
    """The result of `work`; raises TimeoutError, and whatever `work` raises.

    The limit is a sum of short waits. If this process gets no CPU time for a while, whatever has
    arrived is read before the next short wait ends, so that the peer is not taken for silent.
    `work` has ended when this returns.
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
