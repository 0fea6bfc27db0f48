"""Servers in processes of their own, on real ports of this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException

import psutil

from serve.paths import ROOT
from serve.settings import PREFIX

_START_S, _STOP_S = 60.0, 20.0
_LOOK_S = 0.005


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers, its process, and the seconds from its start until it was ready."""

    port: int
    process: psutil.Process
    ready_s: float

    def tree(self) -> list[psutil.Process]:
        """Its process and all that it has started."""
        return [self.process, *self.process.children(recursive=True)]

    def processor_s(self) -> float:
        """Seconds of processor time that its processes have taken so far."""
        used = 0.0
        for process in self.tree():
            with suppress(psutil.NoSuchProcess):  # ended meanwhile, and counted with its parent
                used += sum(process.cpu_times()[:4])  # its own, and of children it has reaped
        return used

    def resident_bytes(self) -> int:
        """Resident memory of all its processes together."""
        total = 0
        for process in self.tree():
            with suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
        return total

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Have it stand still, so that it takes nothing from others even if it looks about."""
        processes = self.tree()
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()


@contextmanager
def topgenre(
    environment: Mapping[str, str] | None = None, /, **settings: object
) -> Iterator[Server]:
    """Our server as `make serve` starts it, with these settings besides the environment's.

    It knows no answers: what is asked twice is worked on twice.
    """
    port = free_port()
    named = {"port": port, "log_level": "error", "cache": "off"} | settings
    variables = {PREFIX + name.upper(): str(value) for name, value in named.items()}
    command = (sys.executable, "-m", "serve")
    with running(command, port, "/health/ready", variables | dict(environment or {})) as server:
        yield server


@contextmanager
def running(
    command: Sequence[str], port: int, path: str, environment: Mapping[str, str]
) -> Iterator[Server]:
    """Start a server, wait until it answers 200 at `path`, and end it and all that it started."""
    start = time.perf_counter()
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, env=os.environ | dict(environment)
    ) as popen:
        server = Server(port, psutil.Process(popen.pid), 0.0)
        try:
            while not _answers(port, path):
                if popen.poll() is not None:
                    raise RuntimeError(f"the server ended with {popen.returncode}")
                if time.perf_counter() - start > _START_S:
                    raise TimeoutError("the server does not come up")
                time.sleep(_LOOK_S)
            yield Server(port, server.process, time.perf_counter() - start)
        finally:
            _end(popen, server)


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def _answers(port: int, path: str) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=_STOP_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _end(popen: subprocess.Popen[bytes], server: Server) -> None:
    if popen.poll() is not None:
        return
    processes = server.tree()
    popen.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        popen.wait(_STOP_S)
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, _STOP_S)
