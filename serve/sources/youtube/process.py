"""The life of one downloader child, as its parent sees it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from serve.errors import Internal
from serve.process import ROOT, child_environment, kill_group
from serve.sources.youtube.frames import MAX_PAYLOAD
from serve.sources.youtube.job import Job

COMMAND = (sys.executable, "-m", "serve.sources.youtube.child")

#: What a child is given beside the common variables: to reach the network and to trust it.
PASSED = (
    *("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"),
    *("NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"),
)


@asynccontextmanager
async def running(job: Job) -> AsyncIterator[asyncio.StreamReader]:
    """Start a child on this job; its frames come out of the reader.

    The reader takes no more than it is asked for (and a small buffer), so a child whose parent
    is slow waits. On leaving, the child and whatever it started are killed and reaped. Raises
    Internal where no child can be started.
    """
    process = _start()
    assert process.stdin is not None
    assert process.stdout is not None
    transport: asyncio.ReadTransport | None = None
    try:
        reader = asyncio.StreamReader(limit=MAX_PAYLOAD)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), process.stdout
        )
        with suppress(BrokenPipeError):  # dead already: the reader will say so
            process.stdin.write(job.to_line())
        yield reader
    finally:
        await _end(process, transport)


def _start() -> subprocess.Popen[bytes]:
    """Start a child as the leader of its own group. Not asyncio's own way, which reaps at will."""
    try:
        return subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            cwd=ROOT,
            env=child_environment(*PASSED),
            start_new_session=True,
        )
    except OSError as error:
        raise Internal("The downloader could not be started.") from error


async def _end(process: subprocess.Popen[bytes], transport: asyncio.ReadTransport | None) -> None:
    # Nobody has reaped the child yet, so its number, which is also its group's, is still its own.
    kill_group(process.pid)
    if transport is not None:
        transport.close()
    for pipe in (process.stdin, process.stdout if transport is None else None):
        if pipe is not None:
            pipe.close()
    reaping = asyncio.get_running_loop().run_in_executor(None, process.wait)
    await asyncio.shield(reaping)  # goes on in its thread where we are cancelled once more
