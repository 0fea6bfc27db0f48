"""A run's recipe once more, on its train and valid tracks together."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from export.__main__ import main as export
from serve.inference.session import load_model
from tests.train import synthetic
from train.__main__ import main
from train.data.tracks import read_tracks
from train.fitting import runs
from train.fitting.runs import Run

SHORT = ("--epochs", "1", "--clips-per-track", "2", "--batch", "6", "--from-scratch")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run in `teacher`, one that it taught in `first`, and their data."""
    folder = tmp_path_factory.mktemp("place")
    synthetic.write_dataset(folder / "dataset")
    data = [str(folder / "dataset"), *cached(folder), *SHORT]
    assert main([*data, "--runs", str(folder / "teacher")]) == 0
    teacher = str(runs.newest(folder / "teacher").folder)
    assert main([*data, "--runs", str(folder / "first"), "--teachers", teacher]) == 0
    return folder


@pytest.fixture(scope="module")
def refitted(place: Path) -> Path:
    """The refit of the run in `first`, by a refit of its teacher."""
    assert main([*refit(place, "teacher"), "--runs", str(place / "teacher-again")]) == 0
    again = str(runs.newest(place / "teacher-again").folder)
    options = ["--runs", str(place / "again"), "--teachers", again]
    assert main([*refit(place, "first"), *options]) == 0
    return runs.newest(place / "again").folder


def cached(place: Path) -> list[str]:
    return ["--cache", str(place / "data")]


def refit(place: Path, name: str) -> list[str]:
    return ["--refit", str(runs.newest(place / name).folder), *cached(place)]


def test_the_valid_tracks_are_trained_on_by_the_same_recipe(place: Path, refitted: Path) -> None:
    first, again = runs.newest(place / "first"), Run.load(refitted)
    assert Counter(track.split for track in read_tracks(first.tracks)) == {"train": 6, "valid": 6}
    assert Counter(track.split for track in read_tracks(again.tracks)) == {"train": 12}
    assert again.config["data"]["tracks"] == {"train": 12}
    assert again.config["data"]["sha256"] != first.config["data"]["sha256"]
    ours, theirs = dict(again.config["recipe"]), dict(first.config["recipe"])
    assert ours.pop("teachers") != theirs.pop("teachers")
    assert ours == theirs
    assert "valid" not in again.metrics
    assert again.metrics["train"]["tracks"] == 12
    assert again.measured.folder == first.folder
    assert first.measured is first


def test_its_card_says_whose_scores_it_shows(place: Path, refitted: Path) -> None:
    out = {}
    for name, run in (("first", runs.newest(place / "first").folder), ("again", refitted)):
        out[name] = place / f"{name}.onnx"
        assert export([str(run), *cached(place), "--out", str(out[name])]) == 0
    first, again = (load_model(out[name], "cpu", 1).card for name in ("first", "again"))
    assert again.version == refitted.name
    assert again.scores.pop("measured_on") == first.version
    assert again.scores == first.scores, "what is shown was measured of the run before"
    assert out["again"].read_bytes() != out["first"].read_bytes()
    page = out["again"].with_suffix(".md").read_text()
    assert f"are those of `{first.version}`" in page
    assert "each refitted with the validation tracks too" in page
    assert "are those of" not in out["first"].with_suffix(".md").read_text()


def test_what_cannot_be_refitted_is_refused(
    place: Path, refitted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = runs.newest(place / "first").folder
    teacher = str(runs.newest(place / "teacher").folder)
    for arguments, text in (
        (["--refit", str(refitted)], "no track in its split 'valid'"),
        (["--refit", str(place)], "is not a run"),
        ([str(place / "dataset"), "--refit", str(first)], "give only --refit"),
        (["--refit", str(first), "--teachers", teacher, teacher], "had 1 teachers"),
    ):
        capsys.readouterr()
        assert main([*arguments, *cached(place), "--runs", str(place / "refused")]) == 2
        assert text in " ".join(capsys.readouterr().err.split())
    assert main(["evaluate", str(refitted), *cached(place)]) == 2
    assert "no track in its split 'valid'" in " ".join(capsys.readouterr().err.split())
    assert not (place / "refused").exists()
