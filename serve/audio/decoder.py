"""One decoder process, seen from the server."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from typing import Any

from serve.audio import messages
from serve.audio.frontend import FrontEnd
from serve.audio.shared import SharedFeatures, SharedMedia
from serve.errors import Internal, NotReady, TopgenreError, Undecodable
from serve.workers.process import child_environment, kill_group, reap, start
from serve.workers.stderr import StandardError

_LOG = logging.getLogger(__name__)
_START_S = 30.0
_STOP_S = 2.0
_ANSWERS = (messages.DONE, messages.FAILED, messages.UNSEEKABLE)
# How a process ends by what it was given, as far as a signal tells; SIGPROF is its time being up.
_OWN_FAULTS = {
    *(signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT),
    *(signal.SIGSYS, signal.SIGTRAP, signal.SIGPROF),
}


class Lost(NotReady):
    """A decoder that ended, or could not be understood, by no fault of the track's.

    The next one may well decode it.
    """

    text = "The decoder stopped; try again in a moment."


class NotUnderstood(Lost):
    """A decoder that said what it can't mean: it may be a stranger's by now."""

    text = "The decoder could not be understood; try again in a moment."


class Decoder:
    """One decoder process and its sockets."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        handing: socket.socket,
    ) -> None:
        #: what it says it is refused, once it is there
        self.confinement: dict[str, Any] = {}
        self._process = process
        self._reader = reader
        self._writer = writer
        self._handing = handing
        #: whether it waits for a track; False during one, and for good after an interrupted one
        self.idle = True
        self._fed = False
        # Of the track at hand: what is said without it is of another, or of none.
        self._lease = ""
        assert process.stderr is not None
        self._stderr = StandardError(process.stderr, "a decoder")

    @property
    def alive(self) -> bool:
        """Whether the process runs; any thread may ask."""
        return not self._stderr.ended.is_set()

    @property
    def busy(self) -> bool:
        """Whether it works, and has all that it works on: while that arrives, it mostly waits."""
        return self._fed and not self.idle

    @classmethod
    async def start(
        cls, front_end: FrontEnd, max_duration_s: float, cpu_s: float, memory_bytes: int
    ) -> Decoder:
        """Start a process and wait until it is warm.

        Raises Internal where it does not come up, OSError where there are no sockets or processes.
        """
        with ExitStack() as undone, ExitStack() as given:
            (ours, theirs), (handing, handed) = (_pair(undone, given) for _ in range(2))
            handing.setblocking(False)
            reader, writer = await asyncio.open_connection(sock=ours)
            undone.callback(writer.close)
            descriptors = (theirs.fileno(), handed.fileno())
            limits = (max_duration_s, cpu_s, memory_bytes)
            arguments = map(str, (*descriptors, json.dumps(front_end.to_dict()), *limits))
            process = start(
                (sys.executable, "-m", "serve.audio.worker", *arguments),
                # One track a process: more threads would only take cores from other tracks.
                environment=child_environment(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1"),
                descriptors=descriptors,
            )
            undone.pop_all()  # from now on `kill` does it
        decoder = cls(process, reader, writer, handing)
        try:
            async with asyncio.timeout(_START_S):
                kind, decoder.confinement = await messages.receive_from(reader)
            decoder.confinement.pop("lease", None)
            if kind != messages.READY:
                raise Internal(f"A decoder process could not be confined: {decoder.confinement}")
        except (EOFError, TimeoutError) as error:
            await decoder.kill()
            raise Internal("A decoder process did not start.") from error
        except BaseException:
            await decoder.kill()
            raise
        return decoder

    def begin(self, media: SharedMedia, features: SharedFeatures, **job: Any) -> None:
        """Give it a track, or part of one; after that come messages, up to one of an answer."""
        self.idle = self._fed = False
        self._lease = secrets.token_hex(8)
        with suppress(OSError):  # `receive` tells what became of it
            socket.send_fds(self._handing, [b"\0"], [media.fileno(), features.fileno()])
        self.send(messages.JOB, lease=self._lease, **job)

    def send(self, kind: bytes, **values: Any) -> None:
        """Send a message; they are small, and few wait to be read."""
        self._fed |= kind == messages.END
        if not self._writer.is_closing():  # else `receive` tells what became of it
            self._writer.write(messages.pack(kind, **values))

    async def receive(self) -> messages.Message:
        """Wait for the next message.

        Raises Undecodable where the process has ended by what it was given, Lost where it has in
        another way, has said what is no message, or something of another track.
        """
        try:
            kind, values = await messages.receive_from(self._reader)
        except (EOFError, RuntimeError) as error:  # this one of uvloop, for what it has closed
            raise await self._end() from error
        if self.idle or not isinstance(values, dict) or values.pop("lease", "") != self._lease:
            _LOG.error("a decoder spoke out of turn")
            await self.kill()
            raise NotUnderstood
        if kind in _ANSWERS:
            self.idle = True
        return kind, values

    async def is_quiet(self) -> bool:
        """Whether it runs and has said nothing since its last answer."""
        try:
            async with asyncio.timeout(0):
                await self._reader.read(1)
        except TimeoutError:
            return self.alive
        except RuntimeError:  # of uvloop, for what it has closed
            return False
        return False

    async def stop(self) -> None:
        """Let an idle process end by itself; kill one that works or does not end."""
        if self.idle:
            self._writer.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(_STOP_S):
                    await self.ended()
        await self.kill()

    async def _end(self) -> TopgenreError:
        """See to it that it has ended, and tell how."""
        await self.kill()
        code = self._process.returncode or 0
        _LOG.error("a decoder ended during a track with code %d", code)
        if -code == signal.SIGPROF:
            return Undecodable("Decoding this takes too long.")
        return Undecodable() if -code in _OWN_FAULTS else Lost()

    async def ended(self) -> None:
        """Wait until the process has ended, in whatever way, or is to be ended.

        It holds its standard error as long as it lives, and nobody else does.
        """
        await self._stderr.ended.wait()

    async def kill(self) -> None:
        """End the process and everything that belongs to it, at once."""
        self.idle = False
        # First of all: whatever goes wrong after that, the process is gone.
        if self._process.returncode is None:  # reaped, its number may be somebody else's by now
            kill_group(self._process.pid)
        self._writer.close()
        self._handing.close()
        await reap(self._process)
        self._stderr.close()
        with suppress(OSError):
            await self._writer.wait_closed()


def _pair(undone: ExitStack, given: ExitStack) -> tuple[socket.socket, socket.socket]:
    """Two connected sockets, each to be closed with one of these."""
    ours, theirs = socket.socketpair()
    undone.callback(ours.close)
    given.callback(theirs.close)
    return ours, theirs
