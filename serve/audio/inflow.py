"""A track's encoded bytes on their way into memory, with a decoder there for them or not."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from typing import Self

from serve.audio.shared import SharedMedia


class Inflow:
    """Takes in blocks of bytes, as far as somebody wants them; to be used as a context.

    A decoder that waited for a slow client would be lost to everybody else: so bytes are gathered
    here first. What the blocks raise, and TooBig past `max_bytes`, comes out of whatever waits.
    """

    def __init__(self, blocks: AsyncIterator[bytes], max_bytes: int) -> None:
        self.media = SharedMedia(max_bytes)
        #: whether all bytes are there
        self.ended = False
        self._blocks = blocks
        self._wanted = 0.0
        self._changed = asyncio.Event()
        self._wants = asyncio.Event()
        self._taking: asyncio.Task[None] | None = None

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return self.media.size

    async def __aenter__(self) -> Self:
        self.media.__enter__()
        self._taking = asyncio.create_task(self._take())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Take no more; the memory is given back when nobody has it any more."""
        assert self._taking is not None
        self._taking.cancel()
        await asyncio.gather(self._taking, return_exceptions=True)
        self.media.__exit__()

    def want(self, size: float) -> None:
        """Take in so many bytes at least, without waiting for them."""
        self._wanted = max(self._wanted, size)
        self._wants.set()

    async def until(self, size: float) -> None:
        """Wait for so many bytes, or for all that there are."""
        self.want(size)
        await self._when(lambda: self.size >= size)

    async def more_than(self, size: int, within_s: float) -> bool:
        """Whether there are more bytes, or the end, within so many seconds."""
        self.want(math.inf)
        try:
            async with asyncio.timeout(within_s):
                await self._when(lambda: self.size > size)
        except TimeoutError:
            return False
        return True

    async def _when(self, there: Callable[[], bool]) -> None:
        assert self._taking is not None
        while not (self.ended or there()):
            if self._taking.done():
                self._taking.result()
            self._changed.clear()
            await self._changed.wait()

    async def _take(self) -> None:
        try:
            async for block in self._blocks:
                self.media.write(block)
                self._changed.set()
                while self.size >= self._wanted:
                    self._wants.clear()
                    await self._wants.wait()
            self.ended = True
        finally:
            self._changed.set()
