"""What a server takes up: processes, descriptors, memory, temporary files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

#: What the memory of all processes may grow by over a soak, and by how much of the first.
MEMORY_BYTES, MEMORY_SHARE = 64 << 20, 0.25

#: Threads of pools that start them when they are needed.
THREADS = 8


@dataclass(frozen=True, slots=True)
class Footprint:
    """One look at a server; `memory_bytes` is resident and of all processes together."""

    processes: int
    zombies: int
    descriptors: dict[str, int]
    threads: int
    memory_bytes: int
    temporary_files: int

    @classmethod
    def of(cls, server: psutil.Process, temporary: Path) -> Footprint:
        """Look at a server that has `temporary` as its folder for such files."""
        children = server.children(recursive=True)
        memory = zombies = 0
        for process in (server, *children):
            with suppress(psutil.NoSuchProcess):
                zombies += process.status() == psutil.STATUS_ZOMBIE
                memory += process.memory_info().rss
        return cls(
            processes=1 + len(children),
            zombies=zombies,
            descriptors=_descriptors(server.pid),
            threads=server.num_threads(),
            memory_bytes=memory,
            temporary_files=sum(1 for _ in temporary.rglob("*")),
        )

    def grown(self, before: Footprint) -> Iterator[str]:
        """What there is more of than before, beyond what is allowed."""
        for name, now in asdict(self).items():
            then = getattr(before, name)
            if name == "memory_bytes":
                more = now > then + max(MEMORY_BYTES, MEMORY_SHARE * then)
            elif name == "threads":
                more = now > then + THREADS
            elif name == "descriptors":
                more = sum(now.values()) > sum(then.values())
            else:
                more = now > then
            if more:
                yield f"{name}: {then} at the start, {now} in the end"


def _descriptors(pid: int) -> dict[str, int]:
    """How many descriptors a process has, by what they are of."""
    found: Counter[str] = Counter()
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            found[re.sub(r"[\d\[\]]+", "", str(path.readlink()))] += 1
    return dict(found)
