"""The server in a process of its own, as people run it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import httpx
import psutil

from serve.settings import PREFIX
from tests.eventually import until

ROOT = Path(__file__).parents[1]


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@dataclass
class Process:
    """A server process at `url`; `log` holds what it has written to its standard error stream."""

    process: subprocess.Popen[bytes]
    port: int
    _log: IO[bytes]
    children: list[psutil.Process] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        self._log.seek(0)
        return self._log.read().decode()

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, trust_env=False)

    def signal(self, number: int) -> None:
        """Send it a signal; who its children are then is kept."""
        self.children = psutil.Process(self.process.pid).children(recursive=True)
        os.kill(self.process.pid, number)

    def ended(self, within_s: float = 60) -> int:
        """Wait for its end and that of its children; its exit code."""
        code = self.process.wait(within_s)
        _, alive = psutil.wait_procs(self.children, timeout=10)
        assert alive == []
        return code


@contextmanager
def server_process(port: int | None = None, **settings: object) -> Iterator[Process]:
    """Start a server with these settings, wait until it is ready, and see to its end."""
    port = port or free_port()
    values = {
        "port": port,
        "youtube_preload": False,
        "decoders": 2,
        "stop_grace_s": 0,
        "cache": "off",
    } | settings
    environment = {name: value for name, value in os.environ.items() if PREFIX not in name}
    environment |= {PREFIX + name.upper(): str(value) for name, value in values.items()}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "serve"], cwd=ROOT, env=environment, stderr=log
        )
        running = Process(process, port, log)

        def is_ready() -> bool:
            assert process.poll() is None, running.log
            try:
                return client.get("/health/ready").status_code == 200
            except httpx.TransportError:
                return False

        try:
            with running.client() as client:
                until(is_ready, 60)
            yield running
        finally:
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(60)
            finally:
                process.kill()
                process.wait()
