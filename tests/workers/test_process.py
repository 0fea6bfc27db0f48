import os
import signal
import subprocess
import sys

from serve.sources.youtube.downloader import PASSED
from serve.workers.process import child_environment, kill_group


def test_a_child_is_given_little(monkeypatch):
    given = {
        "PATH": "/bin",
        "HOME": "/home/x",
        "LC_ALL": "C",
        "PYTHONUTF8": "1",
        "HTTPS_PROXY": "http://p",
        "TOPGENRE_YOUTUBE_PROXY": "http://user:word@p",
        "AWS_SECRET_ACCESS_KEY": "s",
        "XDG_CONFIG_HOME": "/x",
        "LD_PRELOAD": "/x",
    }
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    common = {"PATH", "HOME", "LC_ALL", "PYTHONUTF8"}
    assert set(child_environment()) == common
    assert set(child_environment(*PASSED)) == common | {"HTTPS_PROXY"}
    assert child_environment(PATH="/mine")["PATH"] == "/mine"


def test_a_group_is_killed_with_all_its_members():
    leader = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess as s; print(s.Popen(['sleep', '60']).pid); input()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    with leader:
        leader.stdout.readline()
        kill_group(leader.pid)
        # The pipe ends when the last process that holds it has ended.
        assert leader.stdout.read() == b""
        assert leader.wait(10) == -signal.SIGKILL
    kill_group(leader.pid)  # nobody is there any more, and that is no error
