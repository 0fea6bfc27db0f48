"""Seccomp: a process permanently gives up system calls, by name, through libseccomp.

The library knows their numbers on each architecture. It is part of the system (Debian's apt
depends on it). Its Python bindings are unmaintained, and we only need five of its functions.
"""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Iterable
from typing import NamedTuple, Self

_LIBRARY = "libseccomp.so.2"
_ALLOW = 0x7FFF0000
_ALL_THREADS = 4  # SCMP_FLTATR_CTL_TSYNC
_UNKNOWN = -1
_MASKED_EQUAL = 7  # SCMP_CMP_MASKED_EQ


class Rule(NamedTuple):
    """Matches a system call if one of its arguments, masked with `mask`, equals `value`."""

    call: str
    argument: int
    value: int
    mask: int = (1 << 64) - 1


class _Comparison(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("mask", ctypes.c_uint64),
        ("value", ctypes.c_uint64),
    )


def _refuse(error: int) -> int:
    return 0x00050000 | error


class Filter:
    """A filter that is ready to load; create it while files can still be opened."""

    def __init__(
        self, otherwise: int, action: int, calls: Iterable[str], rules: Iterable[tuple[Rule, ...]]
    ) -> None:
        self._rules = None
        try:
            self._library = _library()
        except OSError:
            return
        if made := self._library.seccomp_init(otherwise):
            self._rules = made
            self._library.seccomp_attr_set(made, _ALL_THREADS, 1)
            for name in calls:
                self._add(action, name, ())
            for of in rules:
                self._add(action, of[0].call, of)

    @classmethod
    def allowing(cls, calls: Iterable[str], rules: Iterable[tuple[Rule, ...]] = ()) -> Self:
        """A filter that allows only `calls`, and calls that match every rule of a tuple in `rules`.

        All others fail as if they did not exist (ENOSYS), which the C library can handle.
        """
        return cls(_refuse(errno.ENOSYS), _ALLOW, calls, rules)

    @classmethod
    def refusing(cls, calls: Iterable[str]) -> Self:
        """A filter that refuses these system calls (EPERM) and allows all others."""
        return cls(_ALLOW, _refuse(errno.EPERM), calls, ())

    def _add(self, action: int, call: str, rules: tuple[Rule, ...]) -> None:
        number = self._library.seccomp_syscall_resolve_name(call.encode())
        # Not every architecture has every call, and an old library does not know the newest.
        if number != _UNKNOWN:
            compared = [_Comparison(of.argument, _MASKED_EQUAL, of.mask, of.value) for of in rules]
            given = (_Comparison * len(compared))(*compared)
            self._library.seccomp_rule_add_array(self._rules, action, number, len(given), given)

    def load(self) -> bool:
        """Apply the filter to all threads from now on; False if that fails."""
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
