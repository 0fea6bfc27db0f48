"""One decoder process, seen from the server."""

from __future__ import annotations

import asyncio
import json
import mmap
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from serve.audio import messages
from serve.audio.features import FeatureStream
from serve.audio.frontend import FrontEnd
from serve.audio.mel import Float32
from serve.errors import Internal, from_code
from serve.process import ROOT, child_environment, kill_group

_START_S = 30.0
_STOP_S = 2.0
_SEND_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded track: its features (capacity, frames, mel bands), of which `clips` are filled.

    `decode_s` and `mel_s` are seconds of work, waiting for bytes left out. The array is the
    decoder's own and valid while the decoder is leased.
    """

    features: Float32
    clips: int
    duration_s: float
    decode_s: float
    mel_s: float


class Decoder:
    """One decoder process, its socket and the memory that it shares with the server."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        features: Float32,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._features = features
        #: whether it waits for a track; False during one, and for good after an interrupted one
        self.idle = True

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.returncode is None

    @classmethod
    async def start(cls, front_end: FrontEnd, max_duration_s: float, memory_bytes: int) -> Decoder:
        """Start a process and wait until it is warm; raise Internal where it does not come up."""
        capacity = FeatureStream.capacity(front_end, max_duration_s)
        shape = (capacity, *front_end.clip_shape)
        ours, theirs = socket.socketpair()
        with theirs, _anonymous_file() as file:
            file.truncate(4 * capacity * front_end.frames * front_end.n_mels)
            features = np.frombuffer(mmap.mmap(file.fileno(), 0), np.float32).reshape(shape)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "serve.audio.worker"),
                *(str(theirs.fileno()), str(file.fileno()), json.dumps(front_end.to_dict())),
                *(str(max_duration_s), str(memory_bytes)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), file.fileno()),
                start_new_session=True,
                cwd=ROOT,
                # One track a process: more threads would only take cores from other tracks.
                env=child_environment(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1"),
            )
        reader, writer = await asyncio.open_connection(sock=ours)
        decoder = cls(process, reader, writer, features)
        try:
            async with asyncio.timeout(_START_S):
                kind, _ = await messages.receive_from(reader)
            if kind != messages.READY:
                raise Internal("A decoder process does not answer.")
        except (EOFError, TimeoutError) as error:
            await decoder.kill()
            raise Internal("A decoder process did not start.") from error
        except BaseException:
            await decoder.kill()
            raise
        return decoder

    async def decode(
        self, blocks: AsyncIterator[bytes], on_seconds: Callable[[float], None]
    ) -> Decoded:
        """Feed a track's encoded bytes and wait for its features.

        `on_seconds` hears of the seconds decoded so far. Raises what `blocks` raises, and the
        decoder's typed error (undecodable, too_long, too_short, silent, …).
        """
        self.idle = False
        feeding = asyncio.ensure_future(self._feed(blocks))
        listening = asyncio.ensure_future(self._listen(on_seconds))
        try:
            await asyncio.wait((feeding, listening), return_when=asyncio.FIRST_COMPLETED)
            if not listening.done():
                await feeding
            answer = await listening
            if "code" not in answer:
                await feeding
        finally:
            for task in (feeding, listening):
                task.cancel()
            await asyncio.gather(feeding, listening, return_exceptions=True)
        self.idle = True
        if "code" in answer:
            raise from_code(answer["code"], answer["text"])
        return self._decoded(**answer)

    def _decoded(self, clips: int, duration_s: float, decode_s: float, mel_s: float) -> Decoded:
        # What comes from there has been near strangers' bytes.
        if not 0 < clips <= len(self._features):
            raise Internal("The decoder could not be understood.")
        return Decoded(self._features, int(clips), float(duration_s), float(decode_s), float(mel_s))

    async def stop(self) -> None:
        """Let an idle process end by itself; kill one that works or does not end."""
        if self.idle:
            self._writer.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(_STOP_S):
                    await self._process.wait()
        await self.kill()

    async def kill(self) -> None:
        """End the process and everything that belongs to it, at once."""
        self.idle = False
        self._writer.close()
        if self.alive:  # otherwise its number may be somebody else's by now
            kill_group(self._process.pid)
        await self._process.wait()
        with suppress(ConnectionError):
            await self._writer.wait_closed()

    async def _feed(self, blocks: AsyncIterator[bytes]) -> None:
        with suppress(ConnectionError):  # the listener tells what became of the decoder
            self._writer.write(messages.pack(messages.JOB))
            try:
                async for block in blocks:
                    for at in range(0, len(block), _SEND_BYTES):
                        part = block[at : at + _SEND_BYTES]
                        self._writer.write(messages.pack(messages.DATA, part))
                        await self._writer.drain()
            finally:
                # Messages are written whole, so also a track that is cut off here, because the
                # decoder has found a fault, is cut off between two of them.
                self._writer.write(messages.pack(messages.END))
            await self._writer.drain()

    async def _listen(self, on_seconds: Callable[[float], None]) -> dict[str, Any]:
        while True:
            try:
                kind, body = await messages.receive_from(self._reader)
            except EOFError as error:
                raise Internal("The decoder stopped.") from error
            values: dict[str, Any] = json.loads(body)
            if kind != messages.PROGRESS:
                return values
            on_seconds(values["seconds"])


def _anonymous_file() -> IO[bytes]:
    # Memory with a descriptor and no name: nothing to clean up, whoever dies.
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("topgenre-features"), "r+b")
    return tempfile.TemporaryFile()
