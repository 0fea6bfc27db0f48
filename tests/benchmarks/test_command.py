import inspect
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from benchmarks import __main__ as command
from benchmarks.clients import Request, post
from benchmarks.goals import Result
from benchmarks.servers import free_port, running
from benchmarks.stages import LIBROSA, WAY


@pytest.fixture
def asked(monkeypatch, tiny_model):
    """Comparisons that tell how often they were to be measured."""
    asked = []

    def comparison(name):
        def measure(runs=None, **options):
            asked.append((name, runs, options) if options else (name, runs))
            yield Result.ratio(f"{name} of theirs", {"ours": [1.0], "theirs": [2.0]}, 1.0)

        return measure

    monkeypatch.setenv("TOPGENRE_MODEL", str(tiny_model))
    monkeypatch.setattr(
        command, "COMPARISONS", {name: comparison(name) for name in ("file", "load")}
    )
    return asked


@pytest.mark.parametrize(
    ("arguments", "measured"),
    [
        (["goals"], [("file", None), ("load", None)]),
        (["load"], [("load", None)]),
        (["load", "--runs", "7"], [("load", 7)]),
    ],
)
def test_comparisons_are_measured_shown_and_written(
    asked, arguments, measured, monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr("sys.argv", ["benchmarks", *arguments, "--out", str(tmp_path)])
    assert command.main() == 0
    assert asked == measured
    (path,) = tmp_path.glob(f"{arguments[0]}-*.json")
    content = json.loads(path.read_text())
    assert [result["name"] for result in content["results"]] == [
        f"{name} of theirs" for name, _ in measured
    ]
    assert all(result["met"] for result in content["results"])
    assert content["versions"]["librosa"]
    assert len(content["model"]) == 64
    assert "of theirs" in capsys.readouterr().out
    assert "of theirs" in path.with_suffix(".html").read_text()


def test_a_quick_look_has_stages_and_shorter_comparisons(asked, monkeypatch, tmp_path):
    monkeypatch.setattr(command, "_QUICK_SECONDS", {"3 s": 3.0})
    monkeypatch.setattr("sys.argv", ["benchmarks", "quick", "--runs", "1", "--out", str(tmp_path)])
    assert command.main() == 0
    assert asked == [("file", 1, {"seconds": 180.0})]
    (path,) = tmp_path.glob("quick-*.json")
    content = json.loads(path.read_text())
    assert [result["name"] for result in content["results"]] == ["file of theirs"]
    measured = {(t["track"], t["stage"]) for t in content["timings"]}
    assert measured == {
        (track, stage)
        for track in ("3 s m4a", "3 s webm")
        for stage in (*WAY, LIBROSA, "file to answer")
    }
    assert min(t["median_ms"] for t in content["timings"] if t["stage"] != "HTTP") > 0


def test_every_quick_comparison_is_one_and_takes_its_options():
    for name, options in command._QUICK.items():
        inspect.signature(command.COMPARISONS[name]).bind(**options)


@pytest.mark.parametrize(("margin", "code"), [(1.5, 0), (0.5, 1)])
def test_the_gate_is_shut_to_what_misses_a_limit(margin, code, monkeypatch, capsys):
    def measure(**_):
        yield Result.ratio("always", {"a": [2.0], "b": [1.0]}, 1.0, at_least=True)
        yield Result.ratio("sometimes", {"a": [margin], "b": [1.0]}, 1.0, at_least=True)

    monkeypatch.setattr("benchmarks.gate.measure", measure)
    monkeypatch.setattr("sys.argv", ["benchmarks", "gate"])
    assert command.main() == code
    assert "sometimes" in capsys.readouterr().out


def dies():
    with running((sys.executable, "-c", "raise SystemExit(3)"), free_port(), "/", {}):
        raise AssertionError("it should not come up")


def answers_504():
    class Busy(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(504)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Busy) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        try:
            post(server.server_port, Request.raw(b"a"))
        finally:
            thread.join()


def times_out():
    raise TimeoutError("timed out")


def says_much():
    raise ValueError("[red]all\n" + "that went wrong, " * 100)


@pytest.mark.parametrize(
    ("peer", "reason"),
    [
        (dies, "RuntimeError: the server ended with 3"),
        (answers_504, "RuntimeError: the server answered 504"),
        (times_out, "TimeoutError: timed out"),
        (says_much, "ValueError: [red]all that went wrong"),
    ],
)
def test_a_comparison_that_fails_is_a_row_and_the_others_go_on(
    peer, reason, asked, monkeypatch, tmp_path, capsys
):
    printed = []

    def fails(runs=None):
        yield Result("before it failed", 1.0, 2.0)
        printed.append(capsys.readouterr().out)
        peer()

    monkeypatch.setattr(
        command,
        "COMPARISONS",
        {"file": command.COMPARISONS["file"], "lit": fails, "load": command.COMPARISONS["load"]},
    )
    monkeypatch.setattr("sys.argv", ["benchmarks", "goals", "--out", str(tmp_path)])
    assert command.main() == 1
    assert asked == [("file", None), ("load", None)]
    assert "file of theirs" in printed[0], "what is done is printed while others are measured"
    out = " ".join(capsys.readouterr().out.split())
    assert "failed: lit" in out
    assert "Traceback" not in out
    (path,) = tmp_path.glob("goals-*.json")
    results = {result["name"]: result for result in json.loads(path.read_text())["results"]}
    assert [*results] == ["file of theirs", "before it failed", "lit", "load of theirs"]
    assert results["lit"]["failed"]
    assert results["lit"]["measured"] is None
    assert results["lit"]["note"].startswith(f"failed: {reason}")
    assert len(results["lit"]["note"]) < 220
    assert "<span class=missed>failed</span>" in path.with_suffix(".html").read_text()


def test_stages_that_fail_leave_the_rest(asked, monkeypatch, tmp_path, capsys):
    def fails(*_):
        raise TimeoutError("the server does not come up")

    monkeypatch.setattr(command, "_QUICK_SECONDS", {"3 s": 3.0})
    monkeypatch.setattr("benchmarks.end_to_end.measure", fails)
    monkeypatch.setattr("sys.argv", ["benchmarks", "quick", "--runs", "1", "--out", str(tmp_path)])
    assert command.main() == 1
    (path,) = tmp_path.glob("quick-*.json")
    content = json.loads(path.read_text())
    assert {timing["stage"] for timing in content["timings"]} >= {"decode", "mel", "inference"}
    names = [(result["name"], result["failed"]) for result in content["results"]]
    assert names == [("file to answer", True), ("file of theirs", False)]


def test_the_kernel_of_blas_is_told(asked, monkeypatch, tmp_path, capsys):
    kernels = [
        {"user_api": "blas", "internal_api": "openblas", "version": "1.2", "architecture": "Zen"},
        {"user_api": "blas", "internal_api": "mkl", "version": None},
        {"user_api": "openmp", "internal_api": "openmp", "version": None},
    ]
    monkeypatch.setattr("benchmarks.report.threadpool_info", lambda: kernels)
    monkeypatch.setattr("sys.argv", ["benchmarks", "load", "--out", str(tmp_path)])
    assert command.main() == 0
    (path,) = tmp_path.glob("load-*.json")
    assert json.loads(path.read_text())["blas"] == ["mkl ?, ?", "openblas 1.2, Zen"]
    assert "BLAS: mkl ?, ?, openblas 1.2, Zen" in capsys.readouterr().out
    assert "openblas 1.2, Zen" in path.with_suffix(".html").read_text()
