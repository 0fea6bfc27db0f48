"""What all child processes of the server have in common."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import suppress

from serve.backoff import pauses_s
from serve.paths import ROOT

# All that a child inherits: what Python, the locale and the network need, and none of our settings.
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "TZ", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
_INHERITED_PREFIXES = ("LC_", "PYTHON", "COVERAGE_")

# Between looks whether a child has ended, in seconds.
_FIRST_LOOK_S, _LONGEST_LOOK_S = 0.001, 0.1


def start(
    command: Sequence[str],
    *,
    environment: dict[str, str],
    pipe: int = subprocess.DEVNULL,
    descriptors: Iterable[int] = (),
    session: bool = True,
) -> subprocess.Popen[bytes]:
    """Start a child as the leader of its own group; OSError where that can't be done.

    Its standard error is a pipe, its standard input and output are as `pipe` says, and it inherits
    these descriptors. It is to be reaped by `reap`: asyncio may reap its own children at any time,
    so that the number of one that is to be killed could be another process's by then.
    """
    return subprocess.Popen(
        command,
        stdin=pipe,
        stdout=pipe,
        stderr=subprocess.PIPE,
        bufsize=0,
        pass_fds=tuple(descriptors),
        cwd=ROOT,
        env=environment,
        start_new_session=session,
        process_group=None if session else 0,
    )


def child_environment(*more: str, **values: str) -> dict[str, str]:
    """A small environment for a child: the common names, those of `more` that are set, `values`."""
    common = {
        name: value
        for name, value in os.environ.items()
        if name in _INHERITED or name in more or name.startswith(_INHERITED_PREFIXES)
    }
    return common | values


def kill_group(leader: int) -> None:
    """Kill a child that leads its own process group, and all that it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


async def reap(process: subprocess.Popen[bytes]) -> None:
    """Wait for the end of a child that was killed.

    By looking: a thread that waited for it, or a descriptor, might be one too many.
    """
    for pause_s in pauses_s(_FIRST_LOOK_S, _LONGEST_LOOK_S):
        if process.poll() is not None:
            return
        await asyncio.sleep(pause_s)
