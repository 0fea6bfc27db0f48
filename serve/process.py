"""What all child processes of the server have in common."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

#: The folder that holds the package `serve`; `python -m` finds it there, wherever we were started.
ROOT = Path(__file__).parents[1]

# All that a child inherits: what Python, the locale and the network need, and none of our settings.
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "TZ", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
_INHERITED_PREFIXES = ("LC_", "PYTHON", "COVERAGE_")


def child_environment(*more: str, **values: str) -> dict[str, str]:
    """A small environment for a child: the common names, those of `more` that are set, `values`."""
    common = {
        name: value
        for name, value in os.environ.items()
        if name in _INHERITED or name in more or name.startswith(_INHERITED_PREFIXES)
    }
    return common | values


def kill_group(leader: int) -> None:
    """Kill a child that leads its own process group, and all that it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
