"""One decoder process, seen from the server."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from contextlib import suppress
from typing import Any

from serve.audio import messages
from serve.audio.features import FeatureStream
from serve.audio.frontend import FrontEnd
from serve.audio.shared import SharedFeatures, SharedMedia
from serve.errors import Internal
from serve.process import ROOT, child_environment, kill_group

_START_S = 30.0
_STOP_S = 2.0
_ANSWERS = (messages.DONE, messages.FAILED, messages.UNSEEKABLE)


class Decoder:
    """One decoder process, its sockets, and memory for the features of the tracks that it leads."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        handing: socket.socket,
        features: SharedFeatures,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._handing = handing
        self.features = features
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
        features = SharedFeatures((capacity, *front_end.clip_shape))
        ours, theirs = socket.socketpair()
        handing, handed = socket.socketpair()
        handing.setblocking(False)
        with theirs, handed:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "serve.audio.worker"),
                *(str(theirs.fileno()), str(handed.fileno()), json.dumps(front_end.to_dict())),
                *(str(max_duration_s), str(memory_bytes)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), handed.fileno()),
                start_new_session=True,
                cwd=ROOT,
                # One track a process: more threads would only take cores from other tracks.
                env=child_environment(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1"),
            )
        reader, writer = await asyncio.open_connection(sock=ours)
        decoder = cls(process, reader, writer, handing, features)
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

    def begin(self, media: SharedMedia, features: SharedFeatures, **job: Any) -> None:
        """Give it a track, or part of one; after that come messages, up to one of an answer."""
        self.idle = False
        with suppress(ConnectionError):  # `receive` tells what became of it
            socket.send_fds(self._handing, [b"\0"], [media.fileno(), features.fileno()])
        self.send(messages.JOB, **job)

    def send(self, kind: bytes, **values: Any) -> None:
        """Send a message; they are small, and few wait to be read."""
        self._writer.write(messages.pack(kind, **values))

    async def receive(self) -> messages.Message:
        """Wait for the next message; raise Internal where the process has ended."""
        try:
            kind, values = await messages.receive_from(self._reader)
        except EOFError as error:
            raise Internal("The decoder stopped.") from error
        if kind in _ANSWERS:
            self.idle = True
        return kind, values

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
        self._handing.close()
        self.features.close()
        if self.alive:  # otherwise its number may be somebody else's by now
            kill_group(self._process.pid)
        await self._process.wait()
        with suppress(ConnectionError):
            await self._writer.wait_closed()
