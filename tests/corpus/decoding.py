"""A pool of decoders in a thread, for tests that are not asynchronous."""

from __future__ import annotations

import asyncio
import gc
import re
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil

from serve.audio.frontend import FrontEnd
from serve.audio.pool import DecoderPool
from serve.audio.track import Decoded
from serve.errors import TopgenreError

#: Small, so that what would cost much is found out soon.
MAX_S, MEMORY, CPU_S = 120, 1 << 30, 20.0


def traces() -> tuple[int, int, set[str]]:
    """What a file might leave behind: processes, descriptors, temporary files."""
    gc.collect()  # what lies in a circle keeps its memory until then
    process = psutil.Process()
    temporary = {path.name for path in Path(tempfile.gettempdir()).iterdir()}
    ours = {name for name in temporary if "topgenre" in name}
    return len(process.children(recursive=True)), process.num_fds(), ours


class Decoding:
    """Decodes a file and tells what came of it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, pool: DecoderPool) -> None:
        self._loop = loop
        self.pool = pool
        #: what came of the last file that was decoded
        self.decoded: Decoded | None = None
        self.features = np.empty(0, np.float32)

    def __call__(self, content: bytes) -> str:
        """The code of its error, or "ok"."""
        self.decoded = None
        return asyncio.run_coroutine_threadsafe(self._decode(content), self._loop).result(120)

    async def _decode(self, content: bytes) -> str:
        async def blocks() -> AsyncIterator[bytes]:
            for at in range(0, len(content), 1 << 16):
                yield content[at : at + (1 << 16)]

        try:
            async with self.pool.inflow(blocks()) as inflow, self.pool.lease() as track:
                decoded = await track.decode(inflow, lambda seconds: None)
                features = decoded.features[: decoded.clips]
                assert np.isfinite(features).all()
                assert (features >= 0).all()
                self.decoded, self.features = decoded, features.copy()
                return "ok"
        except TopgenreError as error:
            return error.code

    def pids(self) -> set[int]:
        return {decoder._process.pid for decoder in self.pool._all}

    def peak_bytes(self) -> int:
        """The most memory that a decoder has had, in pages that it really used."""
        peaks = (Path(f"/proc/{pid}/status").read_text() for pid in self.pids())
        return max(1024 * int(re.search(r"VmHWM:\s+(\d+)", peak)[1]) for peak in peaks)


@contextmanager
def decoding() -> Iterator[Decoding]:
    loop = asyncio.new_event_loop()
    pool = DecoderPool(FrontEnd(), size=2, max_duration_s=MAX_S, memory_bytes=MEMORY, cpu_s=CPU_S)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(pool.start(), loop).result(60)
        yield Decoding(loop, pool)
    finally:
        asyncio.run_coroutine_threadsafe(pool.stop(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
