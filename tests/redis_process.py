"""A Redis server as a process, for tests and benchmarks."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.eventually import until

_KEEPS_NOTHING = ("--save", "", "--appendonly", "no")


class RedisServer:
    """Redis at a socket in a folder, empty at each start."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._options = options
        self._folder = folder
        self._socket = folder / "socket"
        self.url = f"unix://{self._socket}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = ("redis-server", "--port", "0", "--unixsocket", str(self._socket))
        self.process = subprocess.Popen(
            (*command, *_KEEPS_NOTHING, *self._options), cwd=self._folder, stdout=subprocess.DEVNULL
        )
        until(self._answers)

    def stop(self) -> None:
        """End it, if it runs."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            return connection.connect_ex(str(self._socket)) == 0


@contextmanager
def redis_process(folder: Path, *options: str) -> Iterator[RedisServer]:
    """A server for as long as the context."""
    server = RedisServer(folder, *options)
    server.start()
    try:
        yield server
    finally:
        server.stop()
