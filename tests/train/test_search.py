"""A search that is killed goes on, does nothing twice, and outlives runs that fail."""

from __future__ import annotations

import csv
import fcntl
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.eventually import until
from tests.train import synthetic
from train.__main__ import main
from train.data.source import Source, make
from train.fitting.recipe import Recipe
from train.fitting.runs import Run, start
from train.search import search as searches
from train.search.worker import Failed, train_apart

SHORT = """
[base]
epochs = 3
clips_per_track = 2
batch = 4
"""

# Says which process trains, and kills itself in the second epoch of the second fold's run.
KILLED = """
import multiprocessing, os, signal, sys
from train.search import search
from train.__main__ import main

train_apart = search.train_apart

def killed(folder, cache, show):
    def stop(done, steps, note):
        show(done, steps, note)
        if folder.name == "seed-1-fold-02" and 3 * done > steps:
            print(multiprocessing.active_children()[0].pid, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
    train_apart(folder, cache, stop)

search.train_apart = killed
main(sys.argv[1:])
"""


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Train runs here, without the seconds that TensorFlow takes to start and to trace graphs."""
    import tensorflow as tf

    def train_here(folder: Path, cache: Path, _: object) -> None:
        from train.fitting.training import train

        run = Run.open(folder)
        train(run, run.dataset(cache), lambda now: None)

    monkeypatch.setattr(searches, "train_apart", train_here)
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def space_file(folder: Path, terms: str, space: str) -> Path:
    path = folder / "space.toml"
    path.write_text(f"[search]\n{terms}\n{SHORT}\n[space]\n{space}\n")
    return path


def only_search(folder: Path) -> Path:
    (found,) = (folder / "runs").glob("search-space-*")
    return found


def arguments(data: Path, space: Path, folder: Path) -> list[str]:
    places = ["--runs", str(folder / "runs"), "--cache", str(folder / "data")]
    return ["search", str(data), "--space", str(space), "--from-scratch", *places]


def test_a_killed_search_goes_on(
    dataset_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    artists = tmp_path / "artists.csv"
    rows = [f"{genre}.{n:05d},{genre} {n // 2}" for genre in synthetic.GENRES for n in range(4)]
    artists.write_text("\n".join(["track,artist", *rows]) + "\n")
    space = space_file(
        tmp_path, 'method = "one_at_a_time"\nfolds = 2', "learning_rate = [1e38]\nbatch = [5]"
    )
    command = [*arguments(dataset_folder, space, tmp_path), "--artists", str(artists)]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *command], capture_output=True, timeout=280, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    trainer = int(done.stdout)
    until(lambda: not _runs(trainer))
    folder = only_search(tmp_path)
    first, second = folder / "0001" / "seed-1-fold-01", folder / "0001" / "seed-1-fold-02"
    assert Run.open(first).finished
    assert not Run.open(second).finished
    assert Run.open(second).metrics["history"][0]["epoch"] == 1, "an epoch is not lost"
    written = (first / "model.keras").stat().st_mtime_ns

    (folder / "0003").mkdir()
    (folder / "0003" / "failed.json").write_text('{"run": "seed-1-fold-01", "reason": "so"}')
    assert main(command) == 0
    assert only_search(tmp_path) == folder
    assert (first / "model.keras").stat().st_mtime_ns == written, "nothing is done twice"
    assert [row["epoch"] for row in Run.load(second).metrics["history"]] == [1, 2, 3]
    assert Run.load(first).config["data"]["split"] == "by artist, fold 1 of 2"
    assert "failed 0002: Diverged: the loss is" in capsys.readouterr().err
    assert "Diverged" in (folder / "0002" / "seed-1-fold-01" / "log.txt").read_text()

    results = json.loads((folder / "search.json").read_text())
    base, *failed = results["points"]
    shares = [Run.load(of).metrics["valid"]["track_accuracy"] for of in (first, second)]
    assert base["differs"] == {"epochs": 3, "clips_per_track": 2, "batch": 4}
    assert base["track_accuracy"] == pytest.approx(sum(shares) / 2)
    assert base["track_accuracy_deviation"] == pytest.approx(abs(shares[0] - shares[1]) / 2**0.5)
    assert [point["failed"].split(":")[0] for point in failed] == ["Diverged", "so"]
    with (folder / "search.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["point"] for row in table] == ["0001", "0002", "0003"]
    assert float(table[0]["track_loss"]) == base["track_loss"]
    page = (folder / "search.md").read_text()
    assert "| 0001 | nothing: the base | 2 of 2 |" in page
    assert "learning_rate 1e+38; failed: Diverged" in page

    before = {path: path.stat().st_mtime_ns for path in folder.glob("*/*/*")}
    assert main(["search", "--resume", str(folder)]) == 0
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*/*/*")} == before
    assert json.loads((folder / "search.json").read_text()) == results


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.usefixtures("in_this_process")
def test_a_front_end_is_searched_in_on_audio(
    gtzan_folder: Path, lists: Path, tmp_path: Path
) -> None:
    space = space_file(
        tmp_path,
        'method = "tpe"\nseeds = [1, 2]\nby = "track_loss"\ntrials = 2',
        "hop = [{ hop_length = 960 }]",
    )
    command = [*arguments(gtzan_folder, space, tmp_path), "--splits", str(lists), "--epochs", "1"]
    assert main(command) == 0
    folder = only_search(tmp_path)
    runs = {path.parent.relative_to(folder): path for path in folder.glob("*/*/model.keras")}
    assert [str(name) for name in sorted(runs)] == [
        *("0001/seed-1", "0001/seed-2", "0002/seed-1", "0002/seed-2")
    ]
    made = {name: Run.load(path.parent) for name, path in runs.items()}
    for name, run in made.items():
        assert run.front_end.hop_length == (960 if name.parts[0] == "0002" else 1920)
        assert run.recipe.seed == int(name.name[-1])
        assert run.recipe.epochs == 1, "the command line goes before the file"
        assert run.audio == gtzan_folder
    points = json.loads((folder / "search.json").read_text())["points"]
    assert points[0]["track_loss"] <= points[1]["track_loss"]
    other = next(point for point in points if point["point"] == "0002")
    gains = [
        made[Path("0002", seed)].metrics["valid"]["track_accuracy"]
        - made[Path("0001", seed)].metrics["valid"]["track_accuracy"]
        for seed in ("seed-1", "seed-2")
    ]
    assert other["gain"] == pytest.approx(sum(gains) / 2)


@pytest.mark.usefixtures("in_this_process")
def test_a_point_whose_data_cannot_be_had_fails_alone(dataset_folder: Path, tmp_path: Path) -> None:
    space = space_file(tmp_path, 'method = "one_at_a_time"', "hop_length = [960]\nepochs = [2]")
    assert main([*arguments(dataset_folder, space, tmp_path), "--epochs", "1"]) == 0
    points = json.loads((only_search(tmp_path) / "search.json").read_text())["points"]
    failed = {point["point"]: point["failed"] for point in points}
    assert "finished dataset, made with hop_length 1920" in failed.pop("0002")
    assert failed == {"0001": "", "0003": ""}


@pytest.mark.usefixtures("in_this_process")
def test_half_a_line_of_the_journal_is_cut_off(
    dataset_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space = space_file(tmp_path, 'method = "one_at_a_time"\ntrials = 1', "average = [0.0]")
    command = [*arguments(dataset_folder, space, tmp_path), "--epochs", "1"]
    assert main(command) == 0
    folder = only_search(tmp_path)
    journal = folder / "journal.log"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-5])  # stopped while it noted how good the point was
    assert main(command) == 0
    lines = [json.loads(line) for line in journal.read_bytes().splitlines()]
    assert lines[-1]["values"] == json.loads(whole.splitlines()[-1])["values"]

    journal.write_text("not JSON\n\n")
    assert main(command) == 2
    assert "journal.log can't be read" in capsys.readouterr().err
    journal.unlink()
    (folder / "0001" / "point.json").write_text("{}")
    assert main(command) == 2
    assert "is of an earlier version: search anew" in capsys.readouterr().err


@pytest.mark.usefixtures("in_this_process")
def test_minutes_end_it_after_a_whole_point(dataset_folder: Path, tmp_path: Path) -> None:
    terms = 'method = "random"\nminutes = 0.001\nseeds = [1, 2]'
    space = space_file(tmp_path, terms, "average = { low = 0.0, high = 0.5 }")
    assert main([*arguments(dataset_folder, space, tmp_path), "--epochs", "1"]) == 0
    (point,) = json.loads((only_search(tmp_path) / "search.json").read_text())["points"]
    assert (point["point"], point["finished"]) == ("0001", 2)


def test_a_run_whose_process_is_killed_fails_alone(dataset_folder: Path, tmp_path: Path) -> None:
    source = Source(dataset_folder, tmp_path / "data")
    data = make(source, lambda done, files: None)
    start(tmp_path, Recipe(epochs=2), data, "")

    def kill(done: int, steps: int, note: str) -> None:
        (trainer,) = (p for p in psutil.Process().children() if "spawn_main" in str(p.cmdline()))
        trainer.kill()

    with pytest.raises(Failed, match="ended by SIGKILL, as the system does where memory runs out"):
        train_apart(tmp_path, source.cache, kill)


@pytest.mark.usefixtures("in_this_process")
def test_what_is_wrong_is_said(
    dataset_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*arguments: str) -> str:
        assert main(["search", *arguments]) == 2
        return " ".join(capsys.readouterr().err.split())

    space = space_file(tmp_path, 'method = "grid"\nfolds = 2', "epochs = [1]")
    data, cache = str(dataset_folder), ["--cache", str(tmp_path / "data")]
    assert "nothing to train on" in fails()
    assert "give --space" in fails(data, "--from-scratch")
    assert "is not a search" in fails("--resume", str(tmp_path))
    assert "has its data already" in fails(data, "--resume", str(tmp_path))
    assert "needs --artists" in fails(data, "--from-scratch", "--space", str(space), *cache)

    space = space_file(tmp_path, 'method = "grid"', "epochs = [1]")
    assert main([*arguments(dataset_folder, space, tmp_path), "--epochs", "1"]) == 0
    folder = only_search(tmp_path)
    capsys.readouterr()
    with (folder / "request.json").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "another process is running" in fails("--resume", str(folder))
    synthetic.write_dataset(dataset_folder, frames=64)
    assert "not what they were when the search began" in fails("--resume", str(folder))
