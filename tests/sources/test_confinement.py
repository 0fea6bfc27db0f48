"""What a downloader is refused: tried in a real one, after it has confined itself for a job."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from typing import Any

import pytest

from serve.paths import ROOT
from serve.sources.youtube import YouTubeSource
from serve.sources.youtube.confinement import proxies
from serve.sources.youtube.downloader import PASSED
from serve.workers.process import child_environment
from tests.standin import StandIn, Video

CHILD = """
import json, os, socket, subprocess, sys
from pathlib import Path
from serve.workers import landlock, seccomp
from serve.sources.youtube import confinement
from serve.sources.youtube.job import YouTubeOptions

folder, port, attempt = Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
if sys.argv[1] == "held":
    confinement.confine(YouTubeOptions(cookies=folder / "cookies.txt"))
try:
    exec(attempt)
    outcome = "done"
except OSError as error:
    outcome = type(error).__name__
os.write(1, json.dumps(outcome).encode())
os._exit(0)
"""
FORBIDDEN = {
    "connect to another port": "socket.create_connection(('127.0.0.1', port), 5)",
    "listen": "socket.create_server(('127.0.0.1', 0))",
    "read a home": "(folder / 'canary').read_text()",
    "read the folder": "os.listdir(folder)",
    "read the parent's environment": "open(f'/proc/{os.getppid()}/environ').read()",
    "read the parent's memory map": "open(f'/proc/{os.getppid()}/maps').read()",
    "write": "(folder / 'canary').write_text('')",
    "write the cookies": "(folder / 'cookies.txt').write_text('')",
    "make a file": "(folder / 'new').touch()",
    "make a file in /tmp": "open('/tmp/topgenre-new', 'x')",
    "remove": "(folder / 'canary').unlink()",
    "start another program": "subprocess.run(['/bin/true'])",
    "start what it has written": "subprocess.run([folder / 'canary'])",
    "signal the parent": "os.kill(os.getppid(), 0)",
    "trace": "os.close(os.pidfd_open(os.getppid())) or open(f'/proc/{os.getppid()}/mem')",
}
ALLOWED = {
    "read its cookies": "(folder / 'cookies.txt').read_text()",
    "read the system": "open('/etc/hosts').read()",
    "load more of itself": "import yt_dlp.extractor.youtube",
    "throw away": "open('/dev/null', 'w').write('x')",
    "start deno": "subprocess.run([Path(sys.executable).parent / 'deno', '--version'], check=True, "
    "stdout=subprocess.DEVNULL)",
}


@pytest.fixture
def attempt(tmp_path):
    (tmp_path / "canary").write_text("#!/bin/sh\n")
    (tmp_path / "canary").chmod(0o755)
    (tmp_path / "cookies.txt").write_text("# Netscape HTTP Cookie File\n")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])

        def attempted(code, held="held"):
            done = subprocess.run(
                [sys.executable, "-c", CHILD, held, str(tmp_path), port, code],
                cwd=ROOT,
                env=child_environment(*PASSED),
                check=True,
                stdout=subprocess.PIPE,
                timeout=120,
            )
            return json.loads(done.stdout)

        yield attempted
    assert (tmp_path / "canary").read_text() == "#!/bin/sh\n"


@pytest.mark.parametrize("name", FORBIDDEN)
def test_what_is_forbidden_can_not_be_done(attempt, name):
    assert attempt(FORBIDDEN[name]) != "done"


@pytest.mark.parametrize("name", ALLOWED)
def test_what_it_needs_can_be_done(attempt, name):
    assert attempt(ALLOWED[name]) == "done"


@pytest.mark.parametrize(
    "name", ["connect to another port", "read a home", "start another program"]
)
def test_without_locks_it_could(attempt, name):
    assert attempt(FORBIDDEN[name], held="free") == "done"


async def test_each_downloader_tells_what_it_is_refused(youtube: StandIn):
    youtube.add(Video("AAAAAAAAAAA", {140: b"m4a " * 1000}))
    told: list[dict[str, Any]] = []
    source = YouTubeSource("AAAAAAAAAAA", told=told.append)
    async with source.open() as stream:
        assert b"".join([block async for block in stream])
    (confinement,) = told
    assert set(confinement["refused"]) == {"connect", "read", "write", "signal"}
    assert confinement["landlock"] > 0
    assert confinement["seccomp"]
    assert confinement["limits"]["file_size"] == 0


@pytest.mark.parametrize(
    ("environment", "option", "found"),
    [
        ({}, "", set()),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "", {("proxy", 3128)}),
        ({"https_proxy": "proxy:8080", "NO_PROXY": "x:1"}, "", {("proxy", 8080)}),
        ({"ALL_PROXY": "socks5h://u:p@Proxy"}, "", {("proxy", 1080)}),
        ({"HTTPS_PROXY": "http://proxy"}, "https://other", {("other", 443)}),
        ({"HTTPS_PROXY": "http://proxy:port"}, "", set()),
    ],
)
def test_the_proxies_that_are_set(monkeypatch, environment, option, found):
    for name in PASSED:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxies(option) == found


def test_the_working_folder_is_not_readable():
    """Whatever lies beside the package, such as a file of settings."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from pathlib import Path\nimport os\nfrom serve.paths import ROOT\n"
            "from serve.sources.youtube import confinement\n"
            "from serve.sources.youtube.job import YouTubeOptions\n"
            "held = confinement.confine(YouTubeOptions())\nlist(Path(ROOT).iterdir())",
        ],
        cwd=ROOT,
        check=False,
        capture_output=True,
        env=child_environment(),
    )
    assert b"PermissionError" in done.stderr
