"""What happens to the server from outside, and the log of it, which explains odd answers."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

import psutil

from tests.sources.processes import downloaders, templates

Role = Literal["decoder", "downloader", "template", "started by a downloader"]
#: How a crash is told from another end.
CRASHED = "crashed"
_DECODER = "serve.audio.worker"
_CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGABRT)
_STOPPED_S = (0.5, 3.0)
# Descriptors that a server without any more may have: fewer than it has.
_FEW = 3


def victims(server: psutil.Process) -> dict[Role, list[int]]:
    """The server's children by what they do; those that can't be told from others are left out."""
    found: dict[Role, list[int]] = {"decoder": []}
    with suppress(psutil.Error):
        for child in server.children():
            with suppress(psutil.Error):
                if _DECODER in child.cmdline():
                    found["decoder"].append(child.pid)
        found["template"] = templates(server.pid)
        found["downloader"] = downloaders(server.pid)
        found["started by a downloader"] = [
            child.pid
            for downloader in found["downloader"]
            for child in psutil.Process(downloader).children()
        ]
    return {role: pids for role, pids in found.items() if pids}


@dataclass(slots=True)
class Hazards:
    """Everything that was done to a server, each with its moment (seconds, monotonic)."""

    rng: random.Random
    kills: list[tuple[float, str]] = field(default_factory=list)

    def strike(self, server: psutil.Process) -> None:
        """Do something to one of the server's children; blocks as long as that takes."""
        found = victims(server)
        if not found:
            return
        role = self.rng.choice(sorted(found))
        with suppress(psutil.Error):
            victim = psutil.Process(self.rng.choice(found[role]))
            if role == "decoder":
                self.rng.choice((self.kill, self._crash, self._stop))(victim, role)
            else:
                self.kill(victim, role)

    def kill_all(self, server: psutil.Process) -> None:
        """Kill all of the server's children that are known."""
        for role, pids in victims(server).items():
            for pid in pids:
                with suppress(psutil.Error):
                    self.kill(psutil.Process(pid), role)

    def kill(self, victim: psutil.Process, role: str) -> None:
        """Kill it, as the kernel does when memory is short."""
        victim.kill()
        self._note(role)

    def _crash(self, victim: psutil.Process, role: str) -> None:
        """End it as a file does that breaks its decoder."""
        victim.send_signal(self.rng.choice(_CRASHES))
        self._note(f"{role}, {CRASHED}")

    def _stop(self, victim: psutil.Process, role: str) -> None:
        """Have it stand still for a while."""
        victim.suspend()
        self._note(f"{role}, stopped")
        time.sleep(self.rng.uniform(*_STOPPED_S))
        victim.resume()

    def _note(self, what: str) -> None:
        self.kills.append((time.monotonic(), what))


@contextmanager
def starved(server: psutil.Process) -> Iterator[None]:
    """Within it the kernel refuses the server new descriptors: no child starts, nothing opens."""
    soft, hard = server.rlimit(psutil.RLIMIT_NOFILE)
    server.rlimit(psutil.RLIMIT_NOFILE, (_FEW, hard))
    try:
        yield
    finally:
        server.rlimit(psutil.RLIMIT_NOFILE, (soft, hard))
