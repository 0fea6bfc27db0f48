"""The command line as people use it: in processes of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

DATA = Path(__file__).parent / "data"
ROOT = Path(__file__).parents[1]
ID = "dQw4w9WgXcQ"


@pytest.fixture
def environment(tiny_model, monkeypatch):
    monkeypatch.setenv("TOPGENRE_MODEL", str(tiny_model))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def run(environment):
    def run(*arguments, **options):
        return subprocess.run(
            [sys.executable, "-m", "serve", *map(str, arguments)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            **options,
        )

    return run


@pytest.mark.parametrize(
    ("setting", "value", "code", "text"),
    [
        ("TOPGENRE_MODEL", "/nowhere.onnx", 1, "topgenre: /nowhere.onnx: No such file"),
        ("TOPGENRE_PORT", "x", 2, "topgenre: TOPGENRE_PORT"),
        ("TOPGENRE_COLOUR", "red", 2, "topgenre: unknown setting: TOPGENRE_COLOUR"),
        ("TOPGENRE_DEVICE", "cuda", 1, "topgenre: cuda was asked for"),
    ],
)
@pytest.mark.parametrize("command", [["run"], ["classify", "x.mp3"]])
def test_a_wrong_setting_stops_the_start(run, monkeypatch, command, setting, value, code, text):
    monkeypatch.setenv(setting, value)
    done = run(*command)
    assert done.returncode == code
    assert text in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_the_server_starts_answers_and_stops(environment, monkeypatch, sign):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("TOPGENRE_PORT", str(port))
    server = subprocess.Popen(
        [sys.executable, "-m", "serve"], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    with server:
        url = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=url, trust_env=False) as client:
            end = time.monotonic() + 30
            while True:
                try:
                    if client.get("/health/ready").status_code == 200:
                        break
                except httpx.TransportError:
                    assert time.monotonic() < end
                    assert server.poll() is None
                    time.sleep(0.02)
            with (DATA / "song.mp3").open("rb") as song:
                answer = client.post("/predict", files={"file": song})
            assert answer.status_code == 200
        children = psutil.Process(server.pid).children(recursive=True)
        assert children
        os.kill(server.pid, sign)
        log = server.stderr.read()
        assert server.wait(20) in (0, -signal.SIGTERM)
    assert "Traceback" not in log
    psutil.wait_procs(children, timeout=10)
    assert not any(child.is_running() for child in children)


def test_a_port_in_use_is_said(run, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("TOPGENRE_PORT", str(taken.getsockname()[1]))
        done = run()
    assert done.returncode == 1
    assert "address already in use" in done.stderr


def test_the_runtime_is_lean_and_keeps_to_itself(environment, tmp_path):
    # What only training, the tests or the downloader's process need is not imported.
    program = (
        "import sys, serve.__main__, serve.server, serve.cli;"
        "bad = {'tensorflow', 'keras', 'tf2onnx', 'librosa', 'numba', 'yt_dlp', 'onnx', 'ray'};"
        "print(sorted(bad & set(sys.modules)))"
    )
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"HOME": str(home)},
    )
    assert done.stdout.strip() == "[]"
    assert list(home.rglob("*")) == []
