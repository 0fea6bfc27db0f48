import sys
from http.client import HTTPConnection

import psutil
import pytest

from benchmarks.servers import free_port, running, topgenre
from tests.eventually import until

# Answers 200 and has a child that would outlive it, and both ignore the signal to end.
_STUBBORN = """
import http.server, signal, subprocess, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), type("", (
    http.server.BaseHTTPRequestHandler,), {
    "do_GET": lambda self: (self.send_response(200), self.end_headers()),
    "log_message": lambda *_: None,
})).serve_forever()
"""


def gone(process):
    # Its name in the table of processes is its new parent's business.
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.fixture
def stubborn(monkeypatch):
    monkeypatch.setattr("benchmarks.servers._STOP_S", 1.0)
    port = free_port()
    return (sys.executable, "-c", _STUBBORN, str(port)), port, "/", {}


def test_our_server_is_ready_and_nothing_is_left_of_it(tiny_model):
    with topgenre(model=tiny_model, decoders=2, youtube_preload=False) as server:
        processes = server.tree()
        assert len(processes) >= 3
        assert server.ready_s > 0
        assert server.resident_bytes() > server.process.memory_info().rss
        connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("GET", "/health/ready")
        assert connection.getresponse().status == 200
        connection.close()
    assert all(gone(process) for process in processes)


def test_one_that_does_not_start_is_told(tmp_path, capfd):
    with pytest.raises(RuntimeError, match="ended with 1"), topgenre(model=tmp_path / "none.onnx"):
        pass
    assert "none.onnx" in capfd.readouterr().err


def test_one_that_does_not_come_up_in_time_is_ended(monkeypatch):
    monkeypatch.setattr("benchmarks.servers._START_S", 0.1)
    before = set(psutil.Process().children(recursive=True))
    sleeping = (sys.executable, "-c", "import time; time.sleep(600)")
    with pytest.raises(TimeoutError), running(sleeping, free_port(), "/", {}):
        pass
    assert set(psutil.Process().children(recursive=True)) <= before


def test_a_stubborn_one_is_killed_with_its_children(stubborn):
    with running(*stubborn) as server:
        until(lambda: len(server.tree()) == 2)
        processes = server.tree()
    assert all(gone(process) for process in processes)


def test_a_paused_one_stands_still_and_goes_on(stubborn):
    with running(*stubborn) as server:
        with server.paused():
            until(lambda: {p.status() for p in server.tree()} == {psutil.STATUS_STOPPED})
        until(lambda: psutil.STATUS_STOPPED not in {p.status() for p in server.tree()})
