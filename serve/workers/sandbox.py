"""Restricts a process, then attempts each forbidden action to see which ones are refused.

It uses resource limits, which work on every Unix, and Landlock and seccomp.
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

#: The limits by their names in `/info`, in bytes, seconds or counts.
_LIMITS = {
    "address_space": resource.RLIMIT_AS,
    "data": resource.RLIMIT_DATA,
    "cpu_s": resource.RLIMIT_CPU,
    "file_size": resource.RLIMIT_FSIZE,
    "descriptors": resource.RLIMIT_NOFILE,
    "processes": resource.RLIMIT_NPROC,
    "core": resource.RLIMIT_CORE,
}
#: A port on which nothing listens; nothing leaves the machine.
_DISCARD = ("127.0.0.1", 9)
# Descriptors to try, open or not: ioctl sets the owner of sockets only.
_DESCRIPTORS = 64
# F_SETSIG, FIOSETOWN and SIOCSPGRP, as Linux defines them on x86 and ARM.
_F_SETSIG = 10
_OWNER_CALLS = (0x8901, 0x8902)


@dataclass(frozen=True, slots=True)
class Restrictions:
    """The restrictions on a process: which attempts were `refused`, and its resource limits."""

    landlock: int
    """version of Landlock that restricts its files; 0 if none does"""
    seccomp: bool
    """whether a system call filter is loaded"""
    refused: tuple[str, ...]
    """of `ATTEMPTS`, those that failed"""
    limits: dict[str, int] = field(default_factory=dict)
    """in bytes, seconds or counts"""

    def to_dict(self) -> dict[str, Any]:
        """All fields, for JSON."""
        return asdict(self)


def _connect() -> None:
    with socket.socket() as connection:
        connection.settimeout(1.0)
        with suppress(ConnectionRefusedError, TimeoutError):  # nothing stopped it
            connection.connect(_DISCARD)


def _read() -> None:
    # Every system has this folder, and no child needs to list it.
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
    # Landlock does not restrict looking up a path.
    os.stat(os.sep)  # noqa: PTH116


def _own() -> None:
    # Signals about a descriptor go to the process that is set as its owner. Stop at the first way
    # that works, and undo it: two of them together would send the server a signal.
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


#: The forbidden actions that are attempted, by name.
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
    """Lower these limits of this process permanently; limits that are already lower stay.

    A limit that the system does not support (macOS has none on the address space) is ignored;
    `enter` returns the limits that are in force.
    """
    for name, most in limits.items():
        which = _LIMITS[name]
        _, hard = resource.getrlimit(which)
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(which, (most, most))


def enter(calls: Filter, attempts: Iterable[str] = ATTEMPTS, **access: Any) -> Restrictions:
    """Restrict this process to `access` (see `landlock.restrict`) and return what is in force.

    Set its limits (`limit`) first. No other thread may be running yet.
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
