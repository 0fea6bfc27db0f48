"""Running the image's own command without an engine: what it would be given, and no more.

A user namespace and a mount namespace stand in for the container: the whole file system is
read-only but for the folders named, the user is nobody of note, and no capability is left.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

USER = 65532
_ROOT = """
set -eu
mount --make-rprivate /
for folder in $WRITABLE; do mount --bind "$folder" "$folder"; done
mount -o remount,bind,ro /
exec unshare --user --map-user={user} --map-group={user} -- "$@"
"""


def available() -> bool:
    """Whether this machine lets a user make such namespaces."""
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run(
        ("unshare", "--user", "--map-root-user", "--mount", "true"), capture_output=True
    )
    return tried.returncode == 0


def contained(command: Sequence[str], writable: Sequence[Path]) -> tuple[str, ...]:
    """The command line that runs a command in there."""
    return (
        *("env", f"WRITABLE={' '.join(map(str, writable))}"),
        *("unshare", "--user", "--map-root-user", "--mount", "--"),
        *("sh", "-c", _ROOT.format(user=USER), "sh", *command),
    )


@contextmanager
def running(
    command: Sequence[str], writable: Sequence[Path], environment: Mapping[str, str], cwd: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in there; its end is the caller's business, but none outlives the context."""
    with subprocess.Popen(
        contained(command, writable),
        env={"PATH": os.environ["PATH"], **environment},
        cwd=cwd,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
