"""A process gives up what it does not need, then tries each forbidden thing: what is it refused?

Three locks: resource limits, which hold on every Unix, Landlock and seccomp.
"""

from __future__ import annotations

import fcntl
import os
import resource
import socket
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from serve.workers import landlock
from serve.workers.seccomp import Filter

#: Names of the limits, as `/info` tells them, in bytes, seconds and numbers.
_LIMITS = {
    "address_space": resource.RLIMIT_AS,
    "data": resource.RLIMIT_DATA,
    "cpu_s": resource.RLIMIT_CPU,
    "file_size": resource.RLIMIT_FSIZE,
    "descriptors": resource.RLIMIT_NOFILE,
    "processes": resource.RLIMIT_NPROC,
    "core": resource.RLIMIT_CORE,
}
#: Nothing listens there, and nothing leaves the machine.
_DISCARD = ("127.0.0.1", 9)
# It is tried on so many, open or not: ioctl knows owners of sockets alone.
_DESCRIPTORS = 64
# As Linux has them on x86 and ARM: F_SETSIG, FIOSETOWN and SIOCSPGRP.
_F_SETSIG = 10
_OWNER_CALLS = (0x8901, 0x8902)


@dataclass(frozen=True, slots=True)
class Restrictions:
    """What holds a process: which attempts were `refused`, and its resource limits."""

    landlock: int
    """version of what locked its files in; 0 where nothing did"""
    seccomp: bool
    """whether a filter of system calls is loaded"""
    refused: tuple[str, ...]
    """of `ATTEMPTS`, those that failed"""
    limits: dict[str, int] = field(default_factory=dict)
    """bytes, seconds, numbers"""

    def to_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return asdict(self)


def _connect() -> None:
    with socket.socket() as connection:
        connection.settimeout(1.0)
        with suppress(ConnectionRefusedError, TimeoutError):  # it was let out
            connection.connect(_DISCARD)


def _read() -> None:
    # A folder that each system has and no process needs.
    next(Path(os.sep).iterdir())


def _write() -> None:
    path = Path(os.environ.get("TMPDIR") or "/tmp", f".topgenre-{os.getpid()}")  # noqa: S108
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    path.unlink()


def _start() -> None:
    if not (child := os.fork()):
        os._exit(0)
    os.waitpid(child, 0)


def _signal() -> None:
    os.kill(os.getppid(), 0)


def _look_up() -> None:
    # By a path, which locks on files leave alone.
    os.stat(os.sep)  # noqa: PTH116


def _own() -> None:
    # Signals about a descriptor would go to whoever is named as its owner. The first way that is
    # open is the answer, and is undone: of two that are, the server would get a signal.
    for descriptor in range(_DESCRIPTORS):
        for try_ in (_name_owner, _choose_signal, _turn_signals_on, *map(_by_ioctl, _OWNER_CALLS)):
            with suppress(OSError):
                return try_(descriptor)
    raise PermissionError


def _name_owner(descriptor: int) -> None:
    fcntl.fcntl(descriptor, fcntl.F_SETOWN, os.getppid())
    fcntl.fcntl(descriptor, fcntl.F_SETOWN, 0)


def _choose_signal(descriptor: int) -> None:
    fcntl.fcntl(descriptor, _F_SETSIG, 0)


def _turn_signals_on(descriptor: int) -> None:
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | fcntl.FASYNC)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags)


def _by_ioctl(call: int) -> Callable[[int], None]:
    def name_owner(descriptor: int) -> None:
        for owner in (os.getppid(), 0):
            fcntl.ioctl(descriptor, call, struct.pack("i", owner))

    return name_owner


#: What is tried, by name.
ATTEMPTS: dict[str, Callable[[], None]] = {
    "connect": _connect,
    "read": _read,
    "write": _write,
    "start": _start,
    "signal": _signal,
    "own": _own,
    "look up": _look_up,
}


def limit(**limits: int) -> None:
    """Lower these limits of this process for good; one that is lower already stays.

    Where a system can't (macOS knows no address space), nothing happens: `enter` tells.
    """
    for name, most in limits.items():
        which = _LIMITS[name]
        _, hard = resource.getrlimit(which)
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(which, (most, most))


def enter(calls: Filter, attempts: Iterable[str] = ATTEMPTS, **access: Any) -> Restrictions:
    """Lock this process but for this access (see `landlock.restrict`); what holds it now.

    Its limits are set before (`limit`). No thread may run yet.
    """
    found = {name: resource.getrlimit(which)[0] for name, which in _LIMITS.items()}
    bounds = {name: most for name, most in found.items() if most != resource.RLIM_INFINITY}
    version = landlock.restrict(**access)
    loaded = calls.load()
    refused = tuple(name for name in attempts if _is_refused(ATTEMPTS[name]))
    return Restrictions(version, loaded, refused, bounds)


def _is_refused(attempt: Callable[[], None]) -> bool:
    try:
        attempt()
    except OSError:
        return True
    return False
