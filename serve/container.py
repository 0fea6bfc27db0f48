"""What the container may use of its machine: Linux control groups, version 2 or 1.

A container sees all the cores and memory of its node, and is throttled or killed when it takes
them. See the kernel's cgroup-v2.rst, cgroup-v1/memory.rst and sched-bwc.rst.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_ROOT = Path("/")
# Version 1 has no word for "no limit": it is the largest number of pages.
_NO_LIMIT = 1 << 60


def cores() -> int:
    """Cores that this process may use: what "one for each core" means."""
    may_use = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = _own_quota()
    # Of a part of a core nothing is made: its thread would mostly be throttled.
    return max(1, min(may_use or 1, int(quota) if quota else may_use or 1))


@cache
def _own_quota() -> float | None:
    return cpu_quota(_ROOT)


def cpu_quota(root: Path) -> float | None:
    """Cores whose time all of the container's processes have together; None without a limit.

    `root` is where `proc` and `sys` lie.
    """
    quotas = [
        int(quota) / int(period)
        for folder in _folders(root, "cpu")
        for quota, period in [_cpu_limit(folder)]
        if quota.isdigit() and period.isdigit() and int(period)
    ]
    return min(quotas, default=None)


def memory_limit(root: Path = _ROOT) -> int | None:
    """Bytes that all of the container's processes may have together; None without a limit."""
    limits = [
        int(limit)
        for folder in _folders(root, "memory")
        for limit in (_text(folder / "memory.max"), _text(folder / "memory.limit_in_bytes"))
        if limit.isdigit() and int(limit) < _NO_LIMIT
    ]
    return min(limits, default=None)


def _cpu_limit(folder: Path) -> tuple[str, str]:
    quota, _, period = _text(folder / "cpu.max").partition(" ")
    if quota:
        return quota, period
    return _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")


def _folders(root: Path, controller: str) -> Iterator[Path]:
    """Our control groups for it and those around them, as far as they can be seen."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, names, path = line.split(":", 2)
        if names and controller not in names.split(","):
            continue
        for mount in _mounts(root, controller if names else None):
            inner = Path(path.lstrip("/"))
            for part in (inner, *inner.parents):
                yield mount / part


def _mounts(root: Path, controller: str | None) -> Iterator[Path]:
    """Where a controller of version 1 is mounted, or version 2 for None."""
    for line in _text(root / "proc/self/mountinfo").splitlines():
        place, _, kind = line.partition(" - ")
        words = kind.split()
        if len(words) < 3:
            continue
        options = words[2].split(",")
        is_it = controller in options if controller else words[0] == "cgroup2"
        if words[0] in ("cgroup", "cgroup2") and is_it:
            # Blanks and the like are written in octal.
            where = re.sub(r"\\(\d{3})", lambda of: chr(int(of[1], 8)), place.split()[4])
            yield root / where.lstrip("/")


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""
