"""What a decoder is refused: each forbidden thing is tried in a real one, lock by lock."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys

import pytest

from serve.paths import ROOT
from serve.workers.process import child_environment

# A decoder that is locked in as always, or by one of the locks alone, then tries something.
CHILD = """
import array, ctypes, fcntl, json, os, resource, signal, socket, subprocess, sys, termios
import threading, time
from pathlib import Path
from serve.audio import confinement
from serve.audio.frontend import FrontEnd
from serve.audio.mel import MelSpectrogram
from serve.workers import landlock, seccomp

locks, folder, port, attempt = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
canary, answers = folder / "canary", os.dup(1)
memory = os.memfd_create("memory")
left, right = socket.socketpair()
if locks.startswith("open "):
    _, call, command = locks.split()
    confinement._RULES += ((seccomp.Rule(call, 1, int(command)),),)
if locks == "seccomp":
    landlock.restrict = lambda: 0
if locks in ("landlock", "none"):
    seccomp.Filter.load = lambda self: False
if locks == "none":
    landlock.restrict = lambda: 0
    confinement.limits.limit = lambda **_: None
confinement.limit(1 << 30)
held = confinement.confine(MelSpectrogram(FrontEnd()))

def start_thread():
    thread = threading.Thread(target=time.sleep, args=(0.01,))
    thread.start()
    thread.join()

def connect(kind, address):
    with socket.socket(kind) as connection:
        connection.settimeout(5)
        connection.connect(address)

def raw(number, *arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    given = [ctypes.c_long(getattr(a, "fileno", lambda: a)()) for a in (number, *arguments)]
    if libc.syscall(*given) < 0:
        raise OSError(ctypes.get_errno(), "refused")

def fork():
    if not os.fork():
        os._exit(0)
    os.wait()

try:
    exec(attempt)
    outcome = "done"
except (OSError, RuntimeError, MemoryError, ValueError) as error:
    outcome = type(error).__name__ + ": " + str(error)
os.write(answers, json.dumps([outcome, held.to_dict()]).encode())
os._exit(0)
"""

ALL = {
    "connect": "connect(socket.AF_INET, ('127.0.0.1', port))",
    "connect to a path": "connect(socket.AF_UNIX, str(folder / 'socket'))",
    "listen": "socket.create_server(('127.0.0.1', 0)).close()",
    "send": "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', port))",
    "read a file": "canary.read_text()",
    "read the password file": "open('/etc/passwd').close()",
    "read the parent's environment": "open(f'/proc/{os.getppid()}/environ').close()",
    "read the folder": "os.listdir(folder)",
    "write a file": "canary.write_text('')",
    "make a file": "(folder / 'new').touch()",
    "make a folder": "(folder / 'new').mkdir()",
    "make a link": "(folder / 'new').symlink_to(canary)",
    "remove": "canary.unlink()",
    "rename": "canary.rename(folder / 'new')",
    "change rights": "canary.chmod(0)",
    "cut short": "os.truncate(canary, 0)",
    "execute": "os.execv(sys.executable, ['python', '-c', ''])",
    "fork": "fork()",
    "spawn": "subprocess.run(['/bin/true'], check=True)",
    "start a thread": "start_thread()",
    "signal the parent": "os.kill(os.getppid(), 0)",
    "take memory of another kind": "os.ftruncate(os.memfd_create('more'), 1 << 20)",
    "let memory grow": "os.ftruncate(memory, 1 << 20)",
    "take memory": "bytearray(2 << 30)",
    "raise a limit": "resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
    "have many descriptors": "[os.dup(1) for _ in range(100)]",
    "change the root": "os.chroot(folder)",
    "look up a path": "os.stat(canary)",
    "look up a path beside a descriptor": "os.stat(str(canary), dir_fd=3, follow_symlinks=False)",
    "have signals sent": "fcntl.fcntl(left, fcntl.F_SETOWN, os.getppid())",
    "have signals sent, by a number of two halves": "raw(72, left, fcntl.F_SETOWN | 1 << 32, 1)",
    "have other signals sent": "fcntl.fcntl(left, 10, signal.SIGKILL)",
    "turn signals on": "fcntl.fcntl(left, fcntl.F_SETFL, os.O_NONBLOCK | fcntl.FASYNC)",
    "have signals sent by ioctl": "fcntl.ioctl(left, 0x8901, array.array('i', [os.getppid()]))",
    "have signals sent by another ioctl": "fcntl.ioctl(left, 0x8902, array.array('i', [1]))",
    "type into the terminal": "fcntl.ioctl(left, termios.TIOCSTI, b'x')",
}
#: What Landlock refuses where there is no filter of system calls.
BY_LANDLOCK = {
    *("connect", "listen", "read a file", "read the password file", "read the folder"),
    *("read the parent's environment", "write a file", "make a file", "make a folder"),
    *("make a link", "remove", "rename", "cut short", "execute", "spawn", "signal the parent"),
}
#: What limits alone refuse.
BY_LIMITS = {
    *("take memory of another kind", "let memory grow", "take memory", "have many descriptors"),
}


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


@pytest.fixture
def attempt(tmp_path, listener):
    """What came of an attempt in a decoder with these locks, and what it says it is refused."""
    (tmp_path / "canary").write_text("alive")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "socket"))
        unix.listen()

        def attempted(locks, code):
            port = str(listener.getsockname()[1])
            done = subprocess.run(
                [sys.executable, "-c", CHILD, locks, str(tmp_path), port, code],
                cwd=ROOT,
                env=child_environment(OPENBLAS_NUM_THREADS="1"),
                check=True,
                stdout=subprocess.PIPE,
                timeout=60,
            )
            return json.loads(done.stdout)

        yield attempted


@pytest.mark.parametrize("name", ALL)
def test_nothing_forbidden_can_be_done(attempt, listener, tmp_path, name):
    outcome, _ = attempt("all", ALL[name])
    assert outcome != "done"
    assert (tmp_path / "canary").read_text() == "alive"
    assert {path.name for path in tmp_path.iterdir()} == {"canary", "socket"}
    with pytest.raises(BlockingIOError):
        listener.accept()


@pytest.mark.parametrize("name", sorted(BY_LANDLOCK | BY_LIMITS))
def test_each_lock_holds_alone(attempt, name):
    assert attempt("landlock", ALL[name])[0] != "done"


@pytest.mark.parametrize(
    "way",
    [f"fcntl {fcntl.F_SETOWN}", "fcntl 10", f"fcntl {fcntl.F_SETFL}", "ioctl 35073", "ioctl 35074"],
)
def test_one_way_left_to_have_signals_sent_is_told(attempt, way):
    _, held = attempt(f"open {way}", "pass")
    assert "own" not in held["refused"]


def test_without_its_locks_all_of_it_can_be_done(attempt, listener):
    """Otherwise the tests above would show nothing."""
    failed = {}
    for name in (
        *("connect", "read a file", "write a file", "fork", "start a thread", "spawn"),
        *("look up a path", "have signals sent", "turn signals on", "have signals sent by ioctl"),
    ):
        outcome, held = attempt("none", ALL[name])
        if outcome != "done":
            failed[name] = outcome
        assert held["refused"] == []
        assert (held["landlock"], held["seccomp"]) == (0, False)
    assert failed == {}
    listener.accept()[0].close()


@pytest.mark.parametrize(
    ("locks", "refused"),
    [
        ("all", {"connect", "read", "write", "start", "signal", "own", "look up"}),
        ("seccomp", {"connect", "read", "write", "start", "signal", "own", "look up"}),
        ("landlock", {"connect", "read", "write", "signal"}),
    ],
)
def test_what_is_in_force_is_told_as_it_is(attempt, locks, refused):
    _, held = attempt(locks, "pass")
    # A limit alone keeps those from starting processes who are not root.
    assert set(held["refused"]) - refused <= ({"start"} if os.getuid() else set())
    assert refused <= set(held["refused"])
    assert bool(held["landlock"]) == (locks != "seccomp")
    assert held["seccomp"] == (locks != "landlock")
    assert held["limits"] == {
        "address_space": 1 << 30,
        "core": 0,
        "descriptors": 64,
        "file_size": 0,
        "processes": 0,
    }
