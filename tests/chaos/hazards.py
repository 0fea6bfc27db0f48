"""What happens to the server from outside: kills, and the log of what explains an odd answer."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

import psutil

from tests.sources.processes import downloaders, templates

Role = Literal["decoder", "downloader", "template", "started by a downloader"]
_DECODER = "serve.audio.worker"


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
    kills: list[tuple[float, Role]] = field(default_factory=list)

    def kill(self, server: psutil.Process) -> None:
        """Kill one of the server's children, as the kernel does when memory is short."""
        found = victims(server)
        if not found:
            return
        role = self.rng.choice(sorted(found))
        with suppress(ProcessLookupError):
            os.kill(self.rng.choice(found[role]), signal.SIGKILL)
            self.kills.append((time.monotonic(), role))

    def counts(self) -> dict[str, int]:
        """How many of each role were killed."""
        return dict(Counter(role for _, role in self.kills))
