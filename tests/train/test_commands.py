"""The commands, one after the other, on one tiny dataset."""

from __future__ import annotations

import csv
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.train import synthetic
from train.__main__ import main
from train.data.source import find
from train.fitting.runs import Run, newest

SHORT = ("--epochs", "2", "--clips-per-track", "2", "--batch", "4", "--from-scratch")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a `dataset`, and `runs` after training on it."""
    folder = tmp_path_factory.mktemp("workplace")
    synthetic.write_dataset(folder / "dataset")
    arguments = [str(folder / "dataset"), *places(folder), *SHORT, "--devices", "all"]
    assert main([*arguments, "--precision", "mixed_bfloat16"]) == 0
    return folder


def places(folder: Path) -> list[str]:
    return ["--runs", str(folder / "runs"), "--cache", str(folder / "data")]


def test_a_run_folder_holds_everything(workplace: Path) -> None:
    run = newest(workplace / "runs")
    names = {path.name for path in run.folder.iterdir()}
    metrics = {"metrics.json", "metrics.csv", "tensorboard"}
    assert names >= {"config.json", "tracks.csv", "model.keras"} | metrics
    assert list((run.folder / "tensorboard").glob("events.out.tfevents.*"))
    assert run.config["hardware"] == {"precision": "mixed_bfloat16", "devices": "all"}
    assert run.config["git"]
    with (run.folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[1]["loss"]) == run.metrics["history"][1]["loss"]
    assert rows[0]["valid_track_accuracy"] == ""
    assert float(rows[1]["valid_track_accuracy"]) == run.metrics["valid"]["track_accuracy"]
    assert {v.dtype for v in run.model().weights} == {"float32"}
    assert {layer.dtype_policy.name for layer in run.model().layers} == {"float32"}


def test_data_only_makes_the_dataset(
    gtzan_folder: Path, lists: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(gtzan_folder), "--splits", str(lists), "--cache", str(tmp_path / "data")]
    arguments.append("--from-scratch")
    assert main(["data", *arguments]) == 0
    assert "audio files" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    once = ["--epochs", "1", "--clips-per-track", "1", "--runs", str(tmp_path / "runs")]
    assert main(["fit", *arguments, *once]) == 0
    run = newest(tmp_path / "runs")
    assert find(run.config["data"]["files_sha256"], [tmp_path / "data"]) is not None
    assert len(list((tmp_path / "data").iterdir())) == 1, "it is the one that a run takes"


def test_data_of_a_finished_dataset_makes_nothing(
    workplace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(["data", str(workplace / "dataset"), "--from-scratch", "--cache", str(tmp_path)]) == 0
    )
    assert "made up, split as given" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    run = newest(workplace / "runs")
    assert find(run.config["data"]["files_sha256"], [workplace]) is not None


def test_data_of_a_plain_folder_are_in_no_split(
    gtzan_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", str(gtzan_folder), "--cache", str(tmp_path)]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "no track is in a split yet" in said
    assert "skipped noise/noise.00054.wav" in said


def test_evaluate_finds_the_run_and_its_data(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = newest(workplace / "runs")
    assert main(["evaluate", *places(workplace), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((run.folder / "evaluation-valid.json").read_text())
    for name in ("tracks", "confusion", "recall"):
        assert printed[name] == run.metrics["valid"][name]
    assert printed["track_accuracy"] == pytest.approx(run.metrics["valid"]["track_accuracy"])
    assert len(printed["answers"]) == 6
    assert sum(printed["answers"][0]["probabilities"]) == pytest.approx(1.0, abs=1e-3)
    other = ["--data", str(workplace / "dataset"), "--part", "all"]
    assert main(["evaluate", str(run.folder), *places(workplace), *other]) == 0
    assert "by genre (row) and answer (column)" in " ".join(capsys.readouterr().out.split())
    assert json.loads((run.folder / "evaluation-all.json").read_text())["tracks"] == 12


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href"):
                (self.sources if tag == "img" else self.links).append(value or "")


def test_the_report_is_one_page_that_needs_nothing(workplace: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    assert main(["report", *places(workplace), "--out", str(out)]) == 0
    text = out.read_text()
    page = Page(text)
    assert len(page.sources) == 5
    assert all(source.startswith("data:image/svg+xml;base64,") for source in page.sources)
    assert page.links == []
    assert "--audio FOLDER</code> measures it" in text
    for part in ("Confusion", "Genres", "Reliability", "Length", "Learning", "Worst-confused"):
        assert f"<h2>{part}" in text
    assert main(["report", *places(workplace), "--out", str(out)]) == 0
    assert out.read_text() == text


def test_folds_give_mean_and_spread_and_go_on(
    workplace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    artists = tmp_path / "artists.csv"
    rows = [f"{genre}.{n:05d},{genre} {n // 2}" for genre in synthetic.GENRES for n in range(4)]
    artists.write_text("\n".join(["track,artist", *rows]) + "\n")
    runs = ["--runs", str(tmp_path), "--cache", str(workplace / "data")]
    split = ["--artists", str(artists), "--folds", "2"]
    once = ["--epochs", "1", "--clips-per-track", "2", "--batch", "6", "--from-scratch"]
    assert main(["folds", str(workplace / "dataset"), *split, *runs, *once]) == 0
    assert "mean ± spread" in capsys.readouterr().err
    (folder,) = tmp_path.glob("*-folds")
    summary = json.loads((folder / "folds.json").read_text())
    shares = [fold["track_accuracy"] for fold in summary["folds"]]
    assert summary["track_accuracy"]["mean"] == pytest.approx(sum(shares) / 2)
    assert summary["track_accuracy"]["deviation"] == pytest.approx(
        abs(shares[0] - shares[1]) / 2**0.5
    )
    first = Run.load(folder / "fold-01")
    assert first.config["data"]["split"] == "by artist, fold 1 of 2"
    (folder / "fold-02" / "model.keras").unlink()
    cache = ["--cache", str(workplace / "data")]
    assert main(["folds", "--resume", str(folder), *cache]) == 0
    assert "fold-01 of" not in capsys.readouterr().err, "a finished fold is not trained again"
    assert json.loads((folder / "folds.json").read_text()) == summary


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["fit"], "nothing to train on"),
        (["folds", "dataset", "--from-scratch"], "needs --artists"),
        (["folds", "dataset", "--resume", "x"], "has its data already"),
        (["dataset", "--resume", "x"], "has its data already"),
        (["fit", "dataset"], "finished dataset, made with n_fft 2048"),
        (["fit", "dataset", "--hop-length", "512"], "to use another, give --from-scratch"),
        (
            ["fit", "dataset", "--from-scratch", "--hop-length", "512"],
            "finished dataset, made with hop_length 1920",
        ),
        (["fit", "dataset", "--from-scratch", "--n-fft", "40000"], "invalid front end"),
        (
            ["fit", "dataset", "--base", "dataset/tracks.csv"],
            "is not a base: make one with `adapt`",
        ),
        (["fit", "dataset", "--base", "nowhere.keras"], "nowhere.keras can't be read"),
        (["fit", "dataset", "--splits", "x", "--split", "chance"], "contradicts --split"),
        (["fit", "dataset", "--from-scratch", "--split", "filtered"], "puts none of the 12 tracks"),
        (["evaluate", "nowhere"], "nowhere is not a run"),
        (["evaluate", "--splits", "x"], "goes with --data"),
        (["report", "--runs", "nowhere"], "no finished run"),
    ],
)
def test_what_is_wrong_is_said(
    workplace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    text: str,
) -> None:
    monkeypatch.chdir(workplace)
    assert main(arguments) == 2
    assert text in " ".join(capsys.readouterr().err.split())
