"""The life of one downloader child, as its parent sees it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import IO

from serve.errors import unexpected
from serve.sources.youtube.messages import MAX_PAYLOAD, DownloadJob
from serve.workers.process import child_environment, kill_group, reap, start
from serve.workers.stderr import StandardError

COMMAND = (sys.executable, "-m", "serve.sources.youtube.child")

#: What a child is given beside the common variables: to reach the network and to trust it.
PASSED = (
    *("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"),
    *("NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"),
)


@dataclass(frozen=True, slots=True)
class Child:
    """A downloader that waits for its job, and our ends of its pipes.

    `end` kills it and whatever it started, at once; what it returns is done when it is reaped.
    """

    stdin: IO[bytes]
    stdout: IO[bytes]
    stderr: IO[bytes]
    end: Callable[[], Awaitable[object]]


Start = Callable[[], Awaitable[Child]]


async def spawn() -> Child:
    """Start a child as the leader of its own group; a TopgenreError where none can be started."""
    try:
        process = start(COMMAND, environment=child_environment(*PASSED), pipe=subprocess.PIPE)
    except OSError as error:
        raise unexpected(error) from error
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None

    def end() -> Awaitable[object]:
        # Nobody has reaped it yet, so its number, which is also its group's, is still its own.
        kill_group(process.pid)
        return reap(process)

    return Child(process.stdin, process.stdout, process.stderr, end)


class Running:
    """A child at work: its frames come out of `reader`.

    The reader takes no more than it is asked for (and a small buffer), so a child whose parent is
    slow waits.
    """

    def __init__(self, child: Child) -> None:
        self.reader = asyncio.StreamReader(limit=MAX_PAYLOAD)
        self._child = child
        self._stderr = StandardError(child.stderr, "a downloader")
        self._transport: asyncio.ReadTransport | None = None
        self._reaped: asyncio.Future[None] | None = None

    async def give(self, job: DownloadJob) -> None:
        """Have the child do this job."""
        self._transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(self.reader), self._child.stdout
        )
        with suppress(BrokenPipeError):  # dead already: the reader will say so
            self._child.stdin.write(job.to_line())

    def end(self) -> asyncio.Future[None]:
        """Kill the child and whatever it started; the result is there when it is reaped."""
        if self._reaped is None:
            self._reaped = asyncio.ensure_future(self._over(self._child.end()))
            self._child.stdin.close()
            (self._transport or self._child.stdout).close()
        return self._reaped

    async def _over(self, reaping: Awaitable[object]) -> None:
        try:
            await reaping
        finally:
            self._stderr.close()


@asynccontextmanager
async def running(job: DownloadJob, start: Start = spawn) -> AsyncIterator[Running]:
    """Have a child do this job; a TopgenreError where none can be started.

    On leaving, the child and whatever it started are killed and reaped.
    """
    child = Running(await start())
    try:
        await child.give(job)
        yield child
    finally:
        await asyncio.shield(child.end())  # goes on where we are cancelled once more
