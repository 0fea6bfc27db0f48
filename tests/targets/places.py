"""Copies of the tree with environments of their own, in which targets are run."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from serve.settings import PREFIX
from serve.workers.process import kill_group
from tests.models import write_model
from tests.targets.forms import ROOT, SHORTEST, VARIABLES, Target
from tests.train import synthetic
from train.pretrained import BASE, front_end_of

# What a fresh checkout does not have.
_OURS = {".git", ".venv", "runs", "data", "build", "topgenre.toml"}
# The longest is the making of an environment, on a machine that is busy.
_PATIENCE_S = 1800.0
_SPACE = """
[search]
method = "grid"
seeds = [1]
by = "track_accuracy"
[base]
epochs = 1
clips_per_track = 2
batch = 4
[space]
learning_rate = [1e-3]
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a target: its exit code, all it said, and the seconds it took."""

    code: int
    said: str
    taken_s: float

    @property
    def last(self) -> str:
        """The last line that it said, without what only moves a cursor."""
        lines = [line.strip() for line in self.said.replace("\r", "\n").splitlines()]
        return next((line for line in reversed(lines) if line.strip("╰─┘└┴╯ ")), "")


class Place:
    """A copy of the tree, in whose `.venv` there is what `make` puts there, or another one's."""

    def __init__(self, folder: Path, venv: Path | None, variables: Mapping[str, str]) -> None:
        self._folder = folder
        self._venv = venv
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MAKE", "MFLAGS", "PYTHON", "COVERAGE_", PREFIX))
        }
        home = folder / "build" / "home"
        # So wide that a table's last line is whole.
        ours = {"COLUMNS": "200", f"{PREFIX}CACHE": str(home / "answers")}
        self._environment = inherited | ours | dict(variables)
        shutil.copytree(ROOT, folder, ignore=_left_out, symlinks=True)
        home.mkdir(parents=True)
        _prepare(folder)

    def run(self, target: Target) -> Ran:
        """Run a target in its shortest form; a server is asked, and told to stop."""
        start = time.monotonic()
        if target.name == "serve":
            code, said = self._serve()
        else:
            code, said = self._make(f"{target.name} {SHORTEST[target.name]}", target.name)
        return Ran(code, said, time.monotonic() - start)

    def _command(self, words: str) -> list[str]:
        options = f"PYTHON={sys.executable}"
        if self._venv is not None:  # which is as it should be, however old its stamps are
            stamps = [self._venv / f".{stamp}" for stamp in ("serve", "train", "bench", "dev")]
            olds = " ".join(f"-o {stamp}" for stamp in stamps)
            options += f" VENV={self._venv} {olds}"
        return ["bash", "-c", f"exec make {options} {words}"]

    def _make(self, words: str, name: str = "") -> tuple[int, str]:
        with subprocess.Popen(
            self._command(words),
            cwd=self._folder,
            env=self._environment | dict(VARIABLES.get(name, {})),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as making:
            try:
                said, _ = making.communicate(timeout=_PATIENCE_S)
            except subprocess.TimeoutExpired:
                return 124, f"took longer than {_PATIENCE_S:.0f} s"
            finally:
                kill_group(making.pid)
        return making.returncode, said

    def _serve(self) -> tuple[int, str]:
        """Start the server, ask it about a file, and stop it; its answer is what it says."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        with subprocess.Popen(
            self._command("serve"),
            cwd=self._folder,
            env=self._environment | {f"{PREFIX}PORT": str(port)},
            start_new_session=True,
        ) as serving:
            try:
                said = _answer(f"http://127.0.0.1:{port}", serving)
                os.killpg(serving.pid, signal.SIGINT)
                serving.wait(60)
            finally:
                kill_group(serving.pid)
        return (0 if said.startswith("{") else 1), said


def _answer(url: str, serving: subprocess.Popen[bytes]) -> str:
    until = time.monotonic() + _PATIENCE_S
    with httpx.Client(trust_env=False, timeout=60) as client:
        while serving.poll() is None and time.monotonic() < until:
            try:
                client.get(f"{url}/health/ready").raise_for_status()
            except httpx.HTTPError:
                time.sleep(0.1)
                continue
            song = (ROOT / "tests" / "data" / "song.mp3").read_bytes()
            return client.post(f"{url}/predict", files={"file": song}).text[:120]
    return f"the server was not ready; exit code {serving.poll()}"


def _prepare(folder: Path) -> None:
    """Write what the shortest forms name: music, its artists, a space, a tiny model."""
    front_end = front_end_of(BASE)
    synthetic.write_dataset(folder / "music", 3 * front_end.frames, front_end)
    rows = [f"{genre}.{n:05d},{genre} {n // 2}" for genre in synthetic.GENRES for n in range(4)]
    (folder / "artists.csv").write_text("\n".join(["track,artist", *rows]) + "\n")
    (folder / "space.toml").write_text(_SPACE)
    write_model(folder / "tiny.onnx")


def _left_out(folder: str, names: list[str]) -> list[str]:
    top = _OURS if Path(folder) == ROOT else ()
    return [name for name in names if name in top or name.endswith(("cache__", "_cache"))]
