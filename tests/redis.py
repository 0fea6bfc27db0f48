"""A real Redis server, which Debian's package `redis-server` has."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.eventually import until

_KEEPS_NOTHING = ("--save", "", "--appendonly", "no")
_PROGRAM = shutil.which("redis-server")


class RedisServer:
    """Redis at a socket in a folder, empty at each start."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = folder / "socket"
        self.url = f"unix://{self._socket}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        if _PROGRAM is None:
            pytest.skip("redis-server is not installed")
        self.process = subprocess.Popen(
            [
                _PROGRAM,
                "--port",
                "0",
                "--unixsocket",
                str(self._socket),
                "--save",
                "",
                "--appendonly",
                "no",
            ],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
        )
        until(self._answers)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            return connection.connect_ex(str(self._socket)) == 0


@contextmanager
def redis_server(folder: Path) -> Iterator[RedisServer]:
    """A server for as long as the context."""
    server = RedisServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
