"""A training that is killed goes on, and comes to what it would have come to."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from serve.audio.frontend import FrontEnd
from train.__main__ import main
from train.errors import DataError
from train.fitting.runs import Run
from train.fitting.state import State

# On one machine with one number of threads; across machines rounding differs.
TOLERANCE = 1e-6
OPTIONS = ("--epochs", "3", "--clips-per-track", "4", "--batch", "8", "--from-scratch")

# Kills itself in the middle of the second epoch.
KILLED = """
import os, signal, sys
from train.fitting import training
from train.__main__ import main

fit = training.fit

def killed(data, recipe, report, *rest):
    def stop(now):
        report(now)
        if (now.epoch, now.step) == (2, 2):
            os.kill(os.getpid(), signal.SIGKILL)
    return fit(data, recipe, stop, *rest)

training.fit = killed
main(sys.argv[1:])
"""


def places(folder: Path, name: str) -> list[str]:
    return ["--runs", str(folder / name), "--cache", str(folder / "data")]


def only_run(folder: Path) -> Path:
    (run,) = folder.iterdir()
    return run


def test_a_killed_run_goes_on(
    dataset_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(dataset_folder), *places(tmp_path, "killed"), *OPTIONS]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments], capture_output=True, timeout=100, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    folder = only_run(tmp_path / "killed")
    assert not Run.open(folder).finished
    assert State.load(folder / "state.npz").epoch == 1

    resume = ["--resume", str(folder), "--cache", str(tmp_path / "data")]
    assert main(resume) == 0
    assert "resuming after epoch 1" in capsys.readouterr().err
    assert main([str(dataset_folder), *places(tmp_path, "whole"), *OPTIONS]) == 0
    resumed, whole = Run.load(folder), Run.load(only_run(tmp_path / "whole"))
    weights = zip(resumed.model().get_weights(), whole.model().get_weights(), strict=True)
    for one, other in weights:
        np.testing.assert_allclose(one, other, rtol=0, atol=TOLERANCE)
    for one, other in zip(resumed.metrics["history"], whole.metrics["history"], strict=True):
        assert one["loss"] == pytest.approx(other["loss"], abs=TOLERANCE)
        assert one["epoch"] == other["epoch"]
    assert resumed.metrics["valid"] == whole.metrics["valid"]
    with (folder / "metrics.csv").open(newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3"]
    assert not (folder / "state.npz").exists(), "a finished run needs none"
    assert not list(folder.glob("partial-*"))

    assert main(resume) == 2
    assert "nothing to resume" in capsys.readouterr().err


def test_a_state_is_whole_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    state = State(2, 1.5, {"a": 2**100}, {"model": [np.arange(3.0), np.array(7)]})
    state.save(path)
    loaded = State.load(path)
    assert (loaded.epoch, loaded.seconds, loaded.rng) == (2, 1.5, {"a": 2**100})
    np.testing.assert_array_equal(loaded.variables["model"][0], np.arange(3.0))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match="can't be read"):
        State.load(path)


def test_without_its_data_a_run_cannot_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    config = {
        "front_end": FrontEnd().to_dict(),
        "genres": ["a"],
        "data": {"sha256": "0", "folder": str(tmp_path / "gone"), "split": "as given"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "metrics.json").write_text("{}")
    assert main(["--resume", str(folder), "--cache", str(tmp_path / "data")]) == 2
    assert "make them again" in " ".join(capsys.readouterr().err.split())
    assert main(["--resume", str(tmp_path / "none")]) == 2
    assert "is not a run" in capsys.readouterr().err
