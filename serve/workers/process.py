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

# The variables that a child inherits: those for Python, locale and network, but no settings.
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "TZ", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
_INHERITED_PREFIXES = ("LC_", "PYTHON", "COVERAGE_")

# Seconds between checks whether a child has ended.
_FIRST_LOOK_S, _LONGEST_LOOK_S = 0.001, 0.1


def start(
    command: Sequence[str],
    *,
    environment: dict[str, str],
    pipe: int = subprocess.DEVNULL,
    descriptors: Iterable[int] = (),
    session: bool = True,
) -> subprocess.Popen[bytes]:
    """Start a child as the leader of its own process group; raises OSError if that fails.

    Its standard error is a pipe; `pipe` sets its standard input and output; it inherits
    `descriptors`. It must be reaped with `reap`. asyncio would reap its own children at any time,
    and by the time we kill one, its process id could belong to another process.
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
    """A small environment for a child: common variables, those in `more` if set, and `values`."""
    common = {
        name: value
        for name, value in os.environ.items()
        if name in _INHERITED or name in more or name.startswith(_INHERITED_PREFIXES)
    }
    return common | values


def kill_group(leader: int) -> None:
    """Kill a child that leads its own process group, and everything it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


async def reap(process: subprocess.Popen[bytes]) -> None:
    """Wait until a killed child has ended.

    It polls: when threads or descriptors have run out, nothing else works.
    """
    for pause_s in pauses_s(_FIRST_LOOK_S, _LONGEST_LOOK_S):
        if process.poll() is not None:
            return
        await asyncio.sleep(pause_s)
