"""A copy of the checkout to run the pages' commands in: what they leave behind goes with it."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import httpx

from serve.settings import PREFIX
from serve.workers.process import kill_group
from tests.docs.pages import ROOT

# What a fresh checkout does not have, at its top.
_OURS = {".git", ".venv", "runs", "data", "build", "topgenre.toml"}
_STAMPS = (".serve", ".dev", ".train", ".bench")
# Starts the server, maybe with settings before it.
_SERVER = re.compile(r"(\w+=.* )?(make serve|\.venv/bin/python -m serve)")
# It is ready after a second or two, on a machine that has nothing else to do.
_READY_TRIES, _PAUSE_S = 600, 0.1


class Checkout:
    """Runs commands as a reader of a page would, one after the other.

    One that starts the server leaves it running for those that follow, until another one does. It
    listens on a free port, which those that ask `localhost:5000` are led to.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self._environment = dict(environment)
        self._server: subprocess.Popen[bytes] | None = None
        self._port = 0

    def __enter__(self) -> Self:
        shutil.copytree(ROOT, self.folder, ignore=_left_out, symlinks=True)
        # The environment of this checkout, which needs nothing more: its stamps are new.
        (venv := self.folder / ".venv").mkdir()
        for path in Path(sys.prefix).iterdir():
            (venv / path.name).symlink_to(path)
        for stamp in _STAMPS:
            (venv / stamp).unlink(missing_ok=True)
            (venv / stamp).touch()
        home = self.folder / "build" / "home"
        home.mkdir(parents=True)
        self._environment["HOME"] = str(home)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def run(self, command: str, timeout_s: float = 240) -> subprocess.CompletedProcess[str]:
        """Run it as it stands on the page, and give what it printed."""
        if starts := _SERVER.fullmatch(command):
            # In place of the shell, so that the server is told itself when to stop.
            self._start(f"{starts[1] or ''}exec {starts[2]}")
            return subprocess.CompletedProcess(command, 0, "", "")
        return subprocess.run(
            ["bash", "-o", "pipefail", "-c", command.replace("localhost:5000", self._address)],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )

    @property
    def _address(self) -> str:
        return f"127.0.0.1:{self._port}" if self._server else "localhost:5000"

    def _start(self, command: str) -> None:
        self._stop()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._server = subprocess.Popen(
            # Whatever a page says, nobody else is let in.
            ["bash", "-c", command.replace("0.0.0.0", "127.0.0.1")],
            cwd=self.folder,
            env=self._environment | {f"{PREFIX}PORT": str(self._port)},
            start_new_session=True,
        )
        with httpx.Client(trust_env=False) as client:
            for _ in range(_READY_TRIES):
                try:
                    client.get(f"http://{self._address}/health/ready").raise_for_status()
                    return
                except httpx.HTTPError:
                    assert self._server.poll() is None, command
                    time.sleep(_PAUSE_S)
        raise AssertionError(f"not ready: {command}")

    def _stop(self) -> None:
        if self._server is not None:
            self._server.terminate()
            try:
                self._server.wait(60)
            finally:
                kill_group(self._server.pid)
                self._server = None


@contextmanager
def checkout(folder: Path, **environment: str) -> Iterator[Checkout]:
    """A fresh checkout in `folder`, where nothing is set but `environment`."""
    # Without MAKELEVEL, which has make say where it is.
    ours = ("MAKE", "MFLAGS", PREFIX, "COVERAGE_")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    more = {"NO_PROXY": "127.0.0.1,localhost", "COLUMNS": "200"}
    with Checkout(folder, inherited | more | environment) as made:
        yield made


def _left_out(folder: str, names: list[str]) -> Iterable[str]:
    top = _OURS if Path(folder) == ROOT else ()
    return [name for name in names if name in top or name.endswith(("cache__", "_cache"))]
