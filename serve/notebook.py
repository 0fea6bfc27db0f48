"""`classify("song.mp3")` for Python and notebooks: a warm pipeline behind a function."""

from __future__ import annotations

import asyncio

# Imported before `stop` is registered: at the end of the interpreter its threads, which stopping
# the pipeline takes, are let go after that.
import concurrent.futures.thread  # noqa: F401
import errno
import os
import threading
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from os import PathLike
from pathlib import Path
from typing import IO

from serve.classification import Classification
from serve.errors import BadRequest
from serve.library.aside import aside
from serve.library.files import read
from serve.library.tracks import is_link
from serve.pipeline import Pipeline
from serve.settings import Settings
from serve.sources.memory import MemorySource
from serve.sources.stream import AudioSource
from serve.text import safe

Track = str | PathLike[str] | bytes | bytearray | memoryview | IO[bytes]


def classify(track: Track) -> Classification:
    """The genres of a track: a path, a YouTube link, encoded bytes, or a file open for reading.

    The first call starts decoders and the model, as the settings in the environment have it; they
    stay warm until `stop` or the interpreter's end. It may be called from several threads at once,
    and where an event loop runs. Raises FileNotFoundError or another OSError where a path can't be
    read, a TopgenreError (serve.errors) where the track can't be classified, and SettingsError,
    ModelFileError or DeviceError where nothing can.
    """
    return _service().classify(track)


def stop() -> None:
    """Stop the decoders and the model, if they run; the next `classify` starts them again."""
    global _running
    with _lock:
        if _running is not None and _running.pid == os.getpid():
            _running.stop()
        _running = None


class _Service:
    """A pipeline on an event loop in a thread of its own: notebooks have a loop in theirs."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._pipeline = Pipeline.from_settings(Settings.from_environment())
        self._ready: Future[asyncio.AbstractEventLoop] = Future()
        self._thread = threading.Thread(target=self._work, name="topgenre", daemon=True)
        self._thread.start()
        self._loop = self._ready.result()

    def classify(self, track: Track) -> Classification:
        asked = asyncio.run_coroutine_threadsafe(self._classify(track), self._loop)
        try:
            return asked.result()
        except BaseException:  # KeyboardInterrupt: the track is given up
            asked.cancel()
            raise

    async def _classify(self, track: Track) -> Classification:
        source = await aside(partial(self._source, track))
        return Classification.of(await self._pipeline.classify(source))

    def _source(self, track: Track) -> AudioSource:
        limit = self._pipeline.settings.max_body_bytes
        if isinstance(track, str) and is_link(track):
            return self._pipeline.linked(track)
        if track == "":  # as a path it would be this folder
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), track)
        if isinstance(track, str | PathLike):
            path = Path(os.path.expanduser(track))  # noqa: PTH111 - `~x.mp3` is left as it is
            return MemorySource(safe(path.name), read(path, limit), limit)
        if isinstance(track, bytes | bytearray | memoryview):
            return MemorySource("audio", bytes(track), limit)
        if not callable(getattr(track, "read", None)):
            raise TypeError(f"not a path, a link, bytes or a file: {type(track).__name__}")
        content = track.read(limit + 1)
        if not isinstance(content, bytes):
            raise BadRequest("The file is not open for reading bytes.")
        name = getattr(track, "name", "audio")
        title = safe(Path(name).name) if isinstance(name, str) else "audio"
        return MemorySource(title, content, limit)

    def stop(self) -> None:
        with suppress(RuntimeError):  # its loop is closed already
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def _work(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            if not self._ready.done():
                self._ready.set_exception(error)

    async def _serve(self) -> None:
        self._stopping = asyncio.Event()
        async with self._pipeline:
            self._ready.set_result(asyncio.get_running_loop())
            await self._stopping.wait()


_lock = threading.Lock()
_running: _Service | None = None


def _service() -> _Service:
    global _running
    with _lock:
        # A forked child has none of its parent's threads.
        if _running is None or _running.pid != os.getpid():
            _running = _Service()
        return _running


# Not `atexit`, whose turn comes when no thread can do anything any more.
threading._register_atexit(stop)  # type: ignore[attr-defined]
