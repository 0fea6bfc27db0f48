"""The proxies with the configurations that we ship, in front of servers of the tests."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template

import pytest

from tests.eventually import until
from tests.process import ROOT, free_port

# Where Debian has them.
_PATH = f"{os.environ['PATH']}:/usr/sbin"
# What a configuration for `http` stands in. All that nginx writes is in the folder.
_NGINX = """
daemon off; user {user}; pid nginx.pid; error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    include topgenre.conf;
}
"""

#: Changes a configuration's text before it is used.
Change = Callable[[str], str]


@contextmanager
def haproxy(*servers: int, change: Change = str) -> Iterator[str]:
    """HAProxy's URL, in front of servers at two ports."""
    program = _program("haproxy")
    text = (ROOT / "deploy" / "haproxy" / "haproxy.cfg").read_text()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "haproxy.cfg")
        file.write_text(change(text))
        with _running([program, "-f", str(file)], _variables(servers)) as url:
            yield url


@contextmanager
def nginx(*servers: int, change: Change = str) -> Iterator[str]:
    """nginx' URL, in front of servers at two ports."""
    program, variables = _program("nginx"), _variables(servers)
    text = (ROOT / "deploy" / "nginx" / "topgenre.conf.template").read_text()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "nginx.conf").write_text(_NGINX.replace("{user}", getpass.getuser()))
        filled = Template(change(text)).safe_substitute(variables)
        Path(folder, "topgenre.conf").write_text(filled)
        command = [program, "-p", folder, "-c", "nginx.conf", "-e", "stderr"]
        with _running(command, variables) as url:
            yield url


def _program(name: str) -> str:
    found = shutil.which(name, path=_PATH)
    if found is None:
        pytest.skip(f"there is no {name} here: apt-get install {name}")
    return found


def _variables(servers: tuple[int, ...]) -> dict[str, str]:
    ports = dict(zip(("BIND", "SERVER_A", "SERVER_B"), (free_port(), *servers), strict=True))
    return {name: f"127.0.0.1:{port}" for name, port in ports.items()}


@contextmanager
def _running(command: list[str], variables: dict[str, str]) -> Iterator[str]:
    host, _, port = variables["BIND"].partition(":")
    process = subprocess.Popen(command, env=os.environ | variables, stderr=subprocess.DEVNULL)
    try:
        until(lambda: process.poll() is not None or _listens(host, int(port)))
        assert process.poll() is None
        yield f"http://{host}:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _listens(host: str, port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex((host, port)) == 0
