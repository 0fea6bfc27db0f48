"""Refuses bodies that arrive too slowly."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from serve.errors import SlowClient


async def steady(
    blocks: AsyncGenerator[bytes], rate: float, window_s: float
) -> AsyncGenerator[bytes]:
    """The same blocks; raises SlowClient if they arrive too slowly.

    In every `window_s` seconds spent waiting for the client, some data must arrive, and at least
    `rate` bytes per second on average. The time that we spend on the data does not count.
    """
    waited_s, got = 0.0, 0
    async with aclosing(blocks):
        while True:
            start = time.monotonic()
            try:
                async with asyncio.timeout(window_s):
                    block = await anext(blocks, None)
            except TimeoutError:
                raise SlowClient from None
            if block is None:
                return
            waited_s += time.monotonic() - start
            got += len(block)
            if waited_s >= window_s:
                if got < rate * waited_s:
                    raise SlowClient
                waited_s, got = 0.0, 0
            yield block
