"""A process with yt-dlp loaded (`template`), as the server sees it."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import IO, Self

from serve.sources.youtube.downloader import PASSED, Child
from serve.workers.process import child_environment, kill_group, reap, start
from serve.workers.stderr import StandardError

#: A message between the two; see `template`.
NUMBER = struct.Struct("=i")

COMMAND = (sys.executable, "-m", "serve.sources.youtube.template")

#: Longest wait for an answer of a process that has nothing to do but to answer, in seconds.
ANSWER_S = 2.0
#: Longest wait for yt-dlp to be loaded, in seconds: it has the lowest priority.
LOAD_S = 600.0


Answer = asyncio.Future[int]


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a process is made of: with another environment or yt-dlp it would be another one."""

    environment: dict[str, str]
    code: tuple[tuple[int, int], ...]

    @classmethod
    def now(cls) -> Self:
        """What one that is started now would be made of."""
        return cls(child_environment(*PASSED), tuple(map(_stamp, _SOURCES)))


def _stamp(path: str) -> tuple[int, int]:
    """What changes when a file is replaced; (0, 0) where it is missing."""
    try:
        status = os.stat(path)  # noqa: PTH116 - on the way of each request
    except OSError:
        return 0, 0
    return status.st_ino, status.st_mtime_ns


def _sources(names: Iterable[str]) -> Iterable[str]:
    for name in names:
        spec = find_spec(name)  # without importing it
        if spec is not None and spec.origin is not None:
            yield spec.origin


_SOURCES = tuple(_sources(("yt_dlp", "yt_dlp_ejs")))


class Template:
    """One such process. It may die, or be retired, at any time; `over` says that it was."""

    def __init__(
        self, process: subprocess.Popen[bytes], channel: socket.socket, fingerprint: Fingerprint
    ) -> None:
        self.fingerprint = fingerprint
        assert process.stderr is not None
        self._stderr = StandardError(process.stderr, "the process with yt-dlp loaded")
        self.over = asyncio.Event()
        self._process = process
        self._channel = channel
        self._children = 0
        self._dead = False
        self._answers: deque[Answer] = deque()
        #: done when yt-dlp is loaded, or it is over
        self.loaded = self._expect(LOAD_S)
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    def start(cls) -> Self:
        """Start one as the leader of its own group; OSError where that can't be done."""
        fingerprint = Fingerprint.now()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with theirs:
            try:
                process = start(
                    (*COMMAND, str(theirs.fileno())),
                    environment=fingerprint.environment,
                    descriptors=(theirs.fileno(),),
                    session=False,  # beyond whose bounds Linux may ignore priorities
                )
            except OSError:
                ours.close()
                raise
        return cls(process, ours, fingerprint)

    async def fork(self) -> Child | None:
        """A new child that waits for its job; None where there can't be one."""
        with suppress(OSError):
            (job, stdin), (stdout, frames), (stderr, words) = _pipes(3)
            theirs, ours = (job, frames, words), (stdin, stdout, stderr)
            self._children += 1
            try:
                answer = self._ask(0, *(end.fileno() for end in theirs))
            finally:
                _close(theirs)
            try:
                if pid := await asyncio.shield(answer):
                    return Child(*ours, partial(self._end, pid))
                self._children -= 1
            except asyncio.CancelledError:
                _close(ours)
                await asyncio.shield(self._disown(answer))
                raise
            _close(ours)
        return None

    def retire(self) -> None:
        """Fork no more; the process ends with its last child."""
        self.over.set()
        if not self._children:
            self.kill()

    def kill(self) -> None:
        """End the process at once; its children end as their parent watch does."""
        self.over.set()
        if not self._dead:  # otherwise its number may be somebody else's by now
            kill_group(self._process.pid)

    @property
    def reaped(self) -> bool:
        """Whether nothing is left of the process."""
        return self._listening.done()

    async def wait(self) -> None:
        """Return when the process, killed or dead by itself, has been reaped."""
        await asyncio.shield(self._listening)

    def _ask(self, number: int, *descriptors: int) -> Answer:
        """Send this; the answer is 0 where none comes in time, which is the process's end."""
        answer = self._expect(ANSWER_S)
        try:
            socket.send_fds(self._channel, [NUMBER.pack(number)], descriptors)
        except OSError:  # it is dead, or does not read
            self.kill()
        return answer

    def _expect(self, within_s: float) -> Answer:
        loop = asyncio.get_running_loop()
        answer: Answer = loop.create_future()
        if self._dead:
            answer.set_result(0)
        else:
            self._answers.append(answer)
            late = loop.call_later(within_s, self.kill)
            answer.add_done_callback(lambda _: late.cancel())
        return answer

    async def _disown(self, answer: Answer) -> None:
        """End a child whose asker has left before it was there."""
        if pid := await answer:
            await self._end(pid)
        else:
            self._children -= 1

    def _end(self, pid: int) -> Answer:
        """Kill a child's group and reap it."""
        answer = self._ask(pid)
        answer.add_done_callback(self._ended)
        return answer

    def _ended(self, _: Answer) -> None:
        self._children -= 1
        if self.over.is_set() and not self._children:
            self.kill()

    async def _listen(self) -> None:
        """Give each answer to who waits for it, until the process is dead; then reap it."""
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            while message := await loop.sock_recv(self._channel, NUMBER.size):
                (number,) = NUMBER.unpack(message)
                _answer(self._answers.popleft(), number)
        self.kill()
        self._dead = True
        self._channel.close()
        for answer in self._answers:
            _answer(answer, 0)
        await reap(self._process)
        self._stderr.close()


def _answer(answer: Answer, number: int) -> None:
    if not answer.done():  # cancelled, where a whole loop is
        answer.set_result(number)


def _pipes(count: int) -> list[tuple[IO[bytes], IO[bytes]]]:
    """So many pipes, each its end to read from first; all of them or none."""
    with ExitStack() as undone:
        pipes = [_pipe(undone) for _ in range(count)]
        undone.pop_all()
    return pipes


def _pipe(undone: ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    read, write = os.pipe()
    ends = os.fdopen(read, "rb", 0), os.fdopen(write, "wb", 0)
    undone.callback(_close, ends)
    return ends


def _close(files: Iterable[IO[bytes]]) -> None:
    for file in files:
        file.close()
