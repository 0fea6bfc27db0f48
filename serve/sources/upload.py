"""Audio that comes as blocks of bytes: with a request, or from a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from serve.errors import TooBig
from serve.sources.looks import looked_at
from serve.sources.stream import FromClient, SourceInfo


@dataclass(frozen=True, slots=True)
class BlockStream:
    """Blocks of encoded bytes and what is known of them."""

    info: SourceInfo
    blocks: AsyncIterator[bytes]

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The blocks, once; raises Undecodable where it looks like something else than audio."""
        return looked_at(self.blocks)


@dataclass(frozen=True, slots=True)
class UploadSource(FromClient):
    """Audio that arrives with a request, block by block.

    Its bytes are counted: past `max_bytes` reading it raises TooBig, whatever was announced.
    """

    info: SourceInfo
    blocks: AsyncIterator[bytes]
    max_bytes: int

    @asynccontextmanager
    async def open(self) -> AsyncIterator[BlockStream]:
        """Open it: nothing has to be waited for."""
        yield BlockStream(self.info, self._counted())

    async def _counted(self) -> AsyncIterator[bytes]:
        total = 0
        async for block in self.blocks:
            total += len(block)
            if total > self.max_bytes:
                raise TooBig(f"The file is larger than the limit of {self.max_bytes} bytes.")
            yield block
