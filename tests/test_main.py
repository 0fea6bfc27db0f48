"""The command line as people use it: in processes of its own."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

from serve.__main__ import main
from tests.media import by_name, encode, music
from tests.standin import Video

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


def test_one_file(run):
    done = run("classify", DATA / "song.mp3")
    assert done.returncode == 0
    first, *bars = done.stdout.rstrip().splitlines()
    assert re.match(r"(blues|jazz|rock)  song\.mp3  \(20 s of audio in \d+\.\d\d s\)", first)
    assert len(bars) == 3
    assert sum(float(bar.split()[1]) for bar in bars) == pytest.approx(100)


def test_several_tracks_in_order_for_machines(run, tmp_path, youtube):
    short, broken = tmp_path / "short.flac", tmp_path / "broken.wav"
    short.write_bytes(encode(music(3.0), by_name("flac")))
    broken.write_bytes(b"no sound")
    media = encode(music(30.0), by_name("m4a-index-first"))
    youtube.add(Video(ID, {140: media}, title="T", length=30))
    link = f"https://youtu.be/{ID}"
    tracks = [DATA / "song.mp3", broken, link, short, "https://vimeo.com/1", tmp_path / "none.mp3"]
    done = run("classify", "--json", *tracks)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["track"] for line in lines] == list(map(str, tracks))
    assert [line.get("code") for line in lines] == [
        None,
        "undecodable",
        None,
        None,
        "not_youtube",
        "bad_request",
    ]
    assert lines[2]["video_title"] == "T"
    assert round(sum(lines[0]["results"].values()), 6) == 100
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("track", "code", "text"),
    [
        ("nowhere.mp3", 2, "nowhere.mp3: No such file or directory (bad_request)"),
        (str(DATA / "README.md"), 4, "(undecodable)"),
        ("https://www.youtube.com/playlist?list=PL1", 2, "(playlist)"),
        (str(DATA), 2, "(bad_request)"),
        ("hello", 2, "hello: "),
    ],
)
def test_failures_have_their_exit_code(run, track, code, text):
    done = run("classify", track)
    assert done.returncode == code
    assert text in done.stdout
    assert "Traceback" not in done.stderr


def test_a_file_that_is_too_big(run, monkeypatch, tmp_path):
    monkeypatch.setenv("TOPGENRE_MAX_BODY_BYTES", "1024")
    done = run("classify", DATA / "song.mp3")
    assert done.returncode == 4
    assert "(too_big)" in done.stdout


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


def test_main_in_process(environment, capsys):
    assert main(["classify", "--json", str(DATA / "song.mp3")]) == 0
    assert json.loads(capsys.readouterr().out)["video_title"] == "song.mp3"


def test_main_in_process_with_bars(environment, capsys):
    assert main(["classify", str(DATA / "song.mp3"), str(DATA / "README.md")]) == 4
    shown = capsys.readouterr().out
    assert "song.mp3" in shown
    assert "README.md: No audio could be read from this. (undecodable)" in shown


def test_a_failure_of_ours_is_one_tracks_failure(environment, capsys, monkeypatch):
    def broken(*_):
        raise RuntimeError("broken")

    monkeypatch.setattr("serve.pipeline.aggregate", broken)
    assert main(["classify", "--json", str(DATA / "song.mp3")]) == 1
    assert json.loads(capsys.readouterr().out)["code"] == "internal"


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
