"""Seccomp: a process gives up system calls for good, by name, through libseccomp.

The library knows their numbers on each architecture. It belongs to the system (Debian's apt
depends on it); the Python packages around it are not kept, and five of its functions are enough.
"""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Iterable
from typing import Self

_LIBRARY = "libseccomp.so.2"
_ALLOW = 0x7FFF0000
_ALL_THREADS = 4  # SCMP_FLTATR_CTL_TSYNC
_UNKNOWN = -1


def _refuse(error: int) -> int:
    return 0x00050000 | error


class Filter:
    """A filter that is ready to be loaded: made while files can still be opened."""

    def __init__(self, otherwise: int, action: int, calls: Iterable[str]) -> None:
        self._rules = None
        try:
            self._library = _library()
        except OSError:
            return
        if rules := self._library.seccomp_init(otherwise):
            self._rules = rules
            self._library.seccomp_attr_set(rules, _ALL_THREADS, 1)
        for name in calls if rules else ():
            number = self._library.seccomp_syscall_resolve_name(name.encode())
            # Not each architecture has all of them, nor did this library know all at its time.
            if number != _UNKNOWN:
                self._library.seccomp_rule_add_array(rules, action, number, 0, None)

    @classmethod
    def allowing(cls, calls: Iterable[str]) -> Self:
        """One that leaves these system calls alone.

        Others don't exist any more (ENOSYS), which the C library knows how to live with.
        """
        return cls(_refuse(errno.ENOSYS), _ALLOW, calls)

    @classmethod
    def refusing(cls, calls: Iterable[str]) -> Self:
        """One that does not permit these system calls (EPERM)."""
        return cls(_ALLOW, _refuse(errno.EPERM), calls)

    def load(self) -> bool:
        """Let it hold for all threads from now on; whether that could be done."""
        return bool(self._rules and self._library.seccomp_load(self._rules) == 0)


def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(_LIBRARY)
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = (ctypes.c_uint32,)
    library.seccomp_attr_set.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32)
    library.seccomp_rule_add_array.argtypes = (
        *(ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p),
    )
    library.seccomp_load.argtypes = (ctypes.c_void_p,)
    return library
