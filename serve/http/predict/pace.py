"""Bodies that come at a fair pace, or not at all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from serve.errors import SlowClient


async def steady(
    blocks: AsyncGenerator[bytes], rate: float, window_s: float
) -> AsyncGenerator[bytes]:
    """The same blocks; raises SlowClient where they come too slowly.

    In each `window_s` seconds that the client is waited for there must be some, and on average
    `rate` bytes a second. The time that we take for them does not count.
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
