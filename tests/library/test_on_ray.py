"""A catalogue on Ray: what a node or the command is lost with, and that nothing else is."""

import os
import secrets
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq
import pytest
import soundfile

from serve.children import descendants
from tests.eventually import until
from tests.media import music
from tests.process import free_port

ROOT = Path(__file__).parents[2]
TRACKS = 24


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("library")
    for n in range(TRACKS):
        soundfile.write(folder / f"{n}.wav", music(30.0, 8000, 1, seed=n).T, 8000)
    return folder


@pytest.fixture(scope="module")
def expected(library, tiny_model, tmp_path_factory):
    """The rows as they are without Ray."""
    out = tmp_path_factory.mktemp("here")
    done(library, out, env=os.environ | {"TOPGENRE_MODEL": str(tiny_model)})
    return rows(out)


@pytest.fixture
def lean(tmp_path):
    """A folder of modules that come before others of their names.

    jsonschema loads a grammar wherever it is installed, which takes a second and more of each of
    Ray's processes.
    """
    folder = tmp_path / "lean"
    folder.mkdir()
    (folder / "rfc3987_syntax.py").write_text("raise ImportError")
    return folder


@pytest.fixture
def folder(lean, tiny_model, monkeypatch):
    """Where Ray may leave files, with the environment set for it; paths of sockets are short."""
    with TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        paths = (str(lean), os.environ.get("PYTHONPATH"))
        for name, value in {
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "TMPDIR": folder,
            "TOPGENRE_MODEL": str(tiny_model),
            "RAY_USAGE_STATS_ENABLED": "0",
        }.items():
            monkeypatch.setenv(name, value)
        yield Path(folder)


def started(*arguments, **options):
    command = [sys.executable, "-m", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, start_new_session=True, **options)


def catalogue(*arguments, **options):
    options |= {"stderr": subprocess.PIPE, "text": True}
    return started("serve", "catalogue", *arguments, **options)


def done(*arguments, **options):
    """What the command tells, when it is through."""
    with catalogue(*arguments, **options) as running:
        _, told = running.communicate(timeout=120)
    assert running.returncode == 0, told
    return told


def of_session(leader):
    """The processes that a command has started, and those that they have."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            state, *_, session = (path / "stat").read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(session) == leader and state != "Z":
            yield (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()


def named(process, name):
    """Those among a process's children, and theirs, whose command line begins with this."""
    for child in descendants(process):
        try:
            line = Path(f"/proc/{child}/cmdline").read_bytes().decode()
        except OSError:
            continue
        if Path(line.partition("\0")[0]).name.startswith(name):
            yield child


@contextmanager
def node(folder, *arguments):
    """A node of Ray's with one core, in the foreground."""
    path = folder / f"{len(arguments)}.log"
    options = ("--num-cpus=1", "--num-gpus=0", "--object-store-memory=80000000", "--block")
    with path.open("wb") as log:
        process = started("ray.scripts.scripts", "start", *options, *arguments, stdout=log)
    try:
        until(lambda: process.poll() or "Ray runtime started" in path.read_text(), 60)
        assert process.poll() is None, path.read_text()
        yield process.pid
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # it would take its time
        process.wait()


@pytest.fixture
def nodes(folder, monkeypatch):
    """Two nodes on this machine, by the processes that started them."""
    port = free_port()
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(16))
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    # Nothing that watches or scales it, which takes its time to start.
    less = ("--include-dashboard=false", "--no-monitor", "--include-log-monitor=false")
    head = ("--head", f"--port={port}", f"--temp-dir={folder}", *less)
    with node(folder, *head) as first, node(folder, f"--address=127.0.0.1:{port}") as second:
        yield first, second


def rows(out):
    return pq.read_table(out).to_pylist()


def test_a_lost_node_loses_nothing(library, expected, tmp_path, nodes):
    out = tmp_path / "out"
    with catalogue(library, out, "--shard-tracks", 1, "--on", "ray") as running:
        (raylet,) = named(nodes[1], "raylet")
        until(lambda: running.poll() is not None or list(named(raylet, "ray::shard")), 120)
        os.kill(raylet, signal.SIGKILL)
        _, told = running.communicate(timeout=120)
    assert running.returncode == 0, told
    assert f"{TRACKS} tracks in" in told
    assert rows(out) == expected
    assert len({row["id"] for row in expected}) == TRACKS


def test_a_stop_leaves_no_process_and_no_file(library, expected, tmp_path, folder):
    """Here without a cluster that is there: Ray's processes are started and stopped with it."""
    out = tmp_path / "out"
    with catalogue(library, out, "--shard-tracks", 2, "--on", "ray") as running:
        until(lambda: running.poll() is not None or list(out.glob("part-*")), 120)
        niceness = {os.getpriority(os.PRIO_PROCESS, of) for of in named(running.pid, "ray::")}
        running.terminate()
        assert running.wait(30) == 128 + signal.SIGTERM, running.stderr.read()
    assert niceness == {os.getpriority(os.PRIO_PROCESS, 0)}
    until(lambda: not list(of_session(running.pid)))
    assert not list(folder.iterdir())
    assert 0 < len(rows(out)) < TRACKS
    done(library, out)
    assert rows(out) == expected


def test_ray_is_loaded_by_nobody_who_does_not_ask(library, tmp_path, lean, folder):
    (lean / "ray.py").write_text("raise ModuleNotFoundError('no ray', name='ray')")
    (tmp_path / "one.txt").write_text(f"{library}/0.wav\n")
    done(tmp_path / "one.txt", tmp_path / "out")
    with catalogue(tmp_path / "one.txt", tmp_path / "out", "--on", "ray") as running:
        _, told = running.communicate(timeout=60)
    assert (running.returncode, told) == (
        2,
        "topgenre: This needs Ray: pip install 'topgenre[ray]'\n",
    )
