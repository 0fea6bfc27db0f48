"""Resource limits of a child process, which hold on every Unix."""

from __future__ import annotations

import resource
from contextlib import suppress

#: Names of the limits, as `/info` tells them, in bytes, seconds and numbers.
_NAMES = {
    "address_space": resource.RLIMIT_AS,
    "data": resource.RLIMIT_DATA,
    "cpu_s": resource.RLIMIT_CPU,
    "file_size": resource.RLIMIT_FSIZE,
    "descriptors": resource.RLIMIT_NOFILE,
    "processes": resource.RLIMIT_NPROC,
    "core": resource.RLIMIT_CORE,
}


def limit(**limits: int) -> None:
    """Lower these limits of this process for good; one that is lower already stays.

    Where a system can't (macOS knows no address space), nothing happens: `in_force` tells.
    """
    for name, most in limits.items():
        which = _NAMES[name]
        _, hard = resource.getrlimit(which)
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(which, (most, most))


def in_force() -> dict[str, int]:
    """The limits of this process that are not infinite."""
    found = {name: resource.getrlimit(which)[0] for name, which in _NAMES.items()}
    return {name: most for name, most in found.items() if most != resource.RLIM_INFINITY}
