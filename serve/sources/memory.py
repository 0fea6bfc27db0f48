"""Audio that lies in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from serve.errors import TooBig
from serve.sources.stream import FromClient, SourceInfo
from serve.sources.upload import BlockStream

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class MemorySource(FromClient):
    """A track of which all encoded bytes are there; it can be opened again."""

    title: str
    content: bytes
    max_bytes: int

    @asynccontextmanager
    async def open(self) -> AsyncIterator[BlockStream]:
        """Open it; raise TooBig where it is too large."""
        if len(self.content) > self.max_bytes:
            raise TooBig(f"The file is larger than the limit of {self.max_bytes} bytes.")

        async def blocks() -> AsyncIterator[bytes]:
            for start in range(0, len(self.content), _BLOCK):
                yield self.content[start : start + _BLOCK]

        yield BlockStream(SourceInfo(self.title, size_bytes=len(self.content)), blocks())
