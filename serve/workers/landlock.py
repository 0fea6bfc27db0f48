"""Landlock: an unprivileged process permanently gives up access to files and TCP ports.

Source: https://docs.kernel.org/userspace-api/landlock.html
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

# The same numbers on every architecture except Alpha.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_PATH_BENEATH, _NET_PORT = 1, 2
_NO_NEW_PRIVS = 38

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_TRUNCATE = 1 << 14
_READ = _READ_FILE | _READ_DIR
_RUN = _READ | _EXECUTE
_CHANGE = _READ_FILE | _WRITE_FILE | _TRUNCATE
#: All file rights by the version of the interface that introduced the newest of them.
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_OF_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | 1 << 15
_NET_SINCE, _BIND_TCP, _CONNECT_TCP = 4, 1, 2
# Abstract Unix sockets and signals only work between processes of the same sandbox.
_SCOPES_SINCE, _SCOPES = 6, 3


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathRule(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


class _PortRule(ctypes.Structure):
    _fields_ = (("allowed", ctypes.c_uint64), ("port", ctypes.c_uint64))


def version() -> int:
    """The version of the kernel's Landlock; 0 if it has none."""
    if sys.platform != "linux":
        return 0
    return max(0, _call(_CREATE_RULESET, None, 0, _VERSION_FLAG))


def restrict(
    *,
    readable: Iterable[Path] = (),
    executable: Iterable[Path] = (),
    writable: Iterable[Path] = (),
    ports: Iterable[int] = (),
) -> int:
    """Restrict this thread, and everything it starts, to the given files and ports.

    Returns the version of Landlock that is now in force; 0 if none is.

    `readable` files can be read, `executable` ones can also be executed, and `writable` ones can
    also be changed; a folder stands for everything in it. TCP may connect to `ports` only (from
    version 4 on). Paths that do not exist are ignored. Other threads keep their rights: call this
    before any are started.
    """
    if not (known := version()):
        return 0
    files = max(rights for since, rights in _FILE_RIGHTS.items() if since <= known)
    net = _BIND_TCP | _CONNECT_TCP if known >= _NET_SINCE else 0
    scopes = _SCOPES if known >= _SCOPES_SINCE else 0
    asked = _Ruleset(files, net, scopes)
    # An older kernel has a shorter structure, and accepts a longer one if the rest is zero.
    ruleset = _call(_CREATE_RULESET, ctypes.byref(asked), ctypes.sizeof(asked), 0)
    if ruleset < 0:
        return 0
    try:
        for paths, rights in ((readable, _READ), (executable, _RUN), (writable, _CHANGE)):
            for path in paths:
                _allow(ruleset, path, rights & files)
        for port in ports if net else ():
            rule = _PortRule(_CONNECT_TCP, port)
            _call(_ADD_RULE, ruleset, _NET_PORT, ctypes.byref(rule), 0)
        libc = ctypes.CDLL(None)
        if libc.prctl(_NO_NEW_PRIVS, *map(ctypes.c_ulong, (1, 0, 0, 0))):
            return 0
        return 0 if _call(_RESTRICT_SELF, ruleset, 0) else known
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    with suppress(OSError):
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            if not stat.S_ISDIR(os.fstat(parent).st_mode):
                rights &= _OF_A_FILE
            rule = _PathRule(rights, parent)
            _call(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
        finally:
            os.close(parent)


def _call(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None)
    libc.syscall.restype = ctypes.c_long
    # As longs, because a variadic function would leave the upper half of an int undefined.
    given = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return int(libc.syscall(ctypes.c_long(number), *given))
