"""Signals, kills and closed pipes: `classify` ends soon, and keeps what is done."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from tests.cli.commands import ID, ROOT, SONG, command, distinct, records
from tests.eventually import until
from tests.media import by_name, encode, music
from tests.standin import Video, faults


@pytest.mark.parametrize(
    ("sign", "hangs"), [(signal.SIGINT, "reading"), (signal.SIGTERM, "writing")]
)
def test_a_stop_waits_for_nothing_that_hangs(environment, tmp_path, sign, hangs):
    program = [sys.executable, "-c", HANGING[hangs], str(SONG)]
    stopping = subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with stopping:
        assert stopping.stderr.readline() == b"hangs\n"
        stopping.send_signal(sign)
        assert stopping.wait(20) == 128 + sign


HANGING = {
    "reading": """
import sys, time
from serve.__main__ import main
from serve.library import files
def read(*_):
    print("hangs", file=sys.stderr, flush=True)
    time.sleep(300)
files.read = read
sys.exit(main(["classify", sys.argv[1]]))
""",
    "writing": """
import sys, threading
from serve import cli
from serve.__main__ import main
class Hanging(cli._TextPrinter):
    def __call__(self, record):
        threading.Timer(0.5, print, ["hangs"], {"file": sys.stderr, "flush": True}).start()
        sys.stdout.write("x" * 1_000_000)
cli._TextPrinter = Hanging
sys.exit(main(["classify", sys.argv[1]]))
""",
}


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_keeps_what_is_done(environment, youtube, tmp_path, sign):
    folder = distinct(tmp_path / "music", 3)
    youtube.add(Video(ID, watch=faults.hang()))  # as long as it likes
    out = tmp_path / "out"
    arguments = [folder, f"https://youtu.be/{ID}", "--json", "--out", out]
    running = subprocess.Popen(
        command(*arguments), cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    with running:
        until(lambda: out.exists() and out.read_text().count("\n") == 3 and youtube.log, 30)
        children = psutil.Process(running.pid).children(recursive=True)
        os.kill(running.pid, sign)
        log = running.stderr.read()
        assert running.wait(20) == 128 + sign
    assert "Traceback" not in log
    assert "3 of 4 tracks" in log
    assert len(children) > 2
    psutil.wait_procs(children, timeout=10)
    assert not any(child.is_running() for child in children)
    assert len(records(out.read_text())) == 3


def test_what_was_killed_is_gone_on_with(environment, youtube, tmp_path, run):
    folder = distinct(tmp_path / "music", 3)
    youtube.add(Video(ID, watch=faults.hang()))
    out = tmp_path / "out"
    arguments = [folder, f"https://youtu.be/{ID}", "--out", out]
    running = subprocess.Popen(command(*arguments), cwd=ROOT, stderr=subprocess.DEVNULL)
    until(lambda: out.exists() and out.read_text().count("\n") == 3, 30)
    children = psutil.Process(running.pid).children(recursive=True)
    running.kill()
    running.wait()
    psutil.wait_procs(children, timeout=10)
    assert not any(child.is_running() for child in children)
    with out.open("a") as file:
        file.write('{"track": "broken o')
    before = records(out.read_text().rpartition("\n")[0])
    youtube.add(Video(ID, {140: encode(music(3.0), by_name("m4a-index-first"))}, length=3))
    assert run(*arguments).returncode == 0
    after = records(out.read_text())
    assert after[:3] == before
    assert [line["id"] for line in after[3:]] == [f"youtube:{ID}"]


def test_nobody_reads_on(environment, tmp_path):
    folder = distinct(tmp_path / "music", 6)
    for option in ([], ["--json"]):
        running = subprocess.Popen(
            command(*option, folder),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with running:
            running.stdout.readline()
            running.stdout.close()
            log = running.stderr.read()
            assert running.wait(30) in (0, 1)  # 0 where it was quicker than we
        assert log == ""
