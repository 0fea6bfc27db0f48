"""Looking at the downloader's processes from outside."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import psutil

from serve.sources.youtube import downloader as started
from serve.sources.youtube import preloaded

#: Longest wait for something that ought to happen at once, in seconds.
PATIENCE_S = 20.0
#: Longest wait for yt-dlp to be loaded, in seconds: that has the lowest priority.
LOAD_S = 120.0


def downloaders(parent: int | None = None) -> list[int]:
    """The process groups that the downloaders of this process (or another) lead."""
    server = psutil.Process(parent)
    anew = _leaders(server, started.COMMAND, recursive=False)
    loaded = _leaders(server, preloaded.COMMAND, recursive=True)
    return anew + sorted({*loaded} - {*templates(parent)})


def templates(parent: int | None = None) -> list[int]:
    """The processes with yt-dlp loaded that this process (or another) has started."""
    return _leaders(psutil.Process(parent), preloaded.COMMAND, recursive=False)


def _leaders(server: psutil.Process, command: tuple[str, ...], *, recursive: bool) -> list[int]:
    found = []
    for child in server.children(recursive):
        with suppress(psutil.Error, ProcessLookupError):
            if command[-1] in child.cmdline() and os.getpgid(child.pid) == child.pid:
                found.append(child.pid)
    return found


def members(group: int) -> dict[str, float]:
    """The processes that live in this group, by name: the seconds of CPU each has used."""
    found = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found[process.name()] = process.cpu_times().user
    return found


def zombies() -> list[int]:
    """Children of this process that nobody has reaped."""
    children = psutil.Process().children()
    return [child.pid for child in children if child.status() == psutil.STATUS_ZOMBIE]


def open_pipes() -> int:
    """How many ends of pipes this process holds."""
    count = 0
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the descriptor of this very listing
            count += str(entry.readlink()).startswith("pipe:")
    return count
