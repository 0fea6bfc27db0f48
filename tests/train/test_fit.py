from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from serve.audio.frontend import FrontEnd
from tests.outputs import said
from train.__main__ import main
from train.data.dataset import Dataset
from train.errors import DataError
from train.fitting import runs
from train.fitting.fit import FitProgress, fit, predictor
from train.fitting.recipe import Recipe
from train.model.architecture import Architecture
from train.scoring.scores import evaluate, score

TINY = Recipe(
    epochs=4,
    clips_per_track=16,
    batch=16,
    learning_rate=1e-2,
    average=0.5,
    validate_every=2,
    architecture=Architecture(stem=4, stages=(8,), dropout=0.0, memory=0.5),
)


@pytest.fixture
def data(dataset_folder: Path) -> Dataset:
    return Dataset.load(dataset_folder)


def test_it_learns_and_repeats_for_a_seed(data: Dataset) -> None:
    seen: list[FitProgress] = []
    model = fit(data, TINY, seen.append)
    assert [(p.epoch, p.step) for p in seen] == [(e, s) for e in range(1, 5) for s in range(1, 7)]
    assert [p.epoch for p in seen if p.valid] == [2, 4]
    assert seen[-1].loss < seen[0].loss
    scores = evaluate(predictor(model), data, data.of("valid"))
    assert scores == seen[-1].valid
    assert scores.track_accuracy == 1.0
    again = fit(data, TINY, lambda _: None)
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("seed", "same"), [(1, True), (2, False)])
def test_metrics_repeat_for_a_seed_and_for_no_other(data: Dataset, seed: int, same: bool) -> None:
    recipe = replace(TINY, epochs=2, architecture=replace(TINY.architecture, dropout=0.3))
    found: list[list[float]] = []
    for of in (replace(recipe, seed=1), replace(recipe, seed=seed)):
        seen: list[FitProgress] = []
        fit(data, of, seen.append)
        loss = [now.valid.track_loss for now in seen if now.valid is not None]
        found.append([*(now.loss for now in seen), *loss])
    # On one machine; another number of threads rounds otherwise.
    assert np.allclose(found[0], found[1], rtol=0, atol=1e-5) == same


def test_scores_of_known_answers() -> None:
    first = np.array([[0.6, 0.4], [0.1, 0.9]], np.float32)
    second = np.array([[0.2, 0.8], [0.4, 0.6], [0.96, 0.04]], np.float32)
    scores = score([(0, said(first)), (1, said(second))], ("a", "b"))
    assert (scores.tracks, scores.clips) == (2, 5)
    assert scores.clip_accuracy == pytest.approx(3 / 5)
    assert scores.track_accuracy == 0.0
    assert scores.confusion == [[0, 1], [1, 0]]
    assert scores.recall == {"a": 0.0, "b": 0.0}
    # Of geometric means.
    said_of = [np.exp(np.log(of).mean(axis=0)) for of in (first, second)]
    right = [of[label] / of.sum() for label, of in enumerate(said_of)]
    assert scores.track_loss == pytest.approx(-np.log(right).mean(), rel=1e-5)
    with pytest.raises(ValueError, match="no track"):
        score([], ("a", "b"))


def test_the_command_leaves_a_whole_run(
    dataset_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = ["--runs", str(tmp_path / "runs"), "--cache", str(tmp_path / "data")]
    short = ["--epochs", "1", "--clips-per-track", "2", "--batch", "4", "--about", "made up"]
    assert main([str(dataset_folder), "--from-scratch", *folders, *short]) == 0
    assert "right tracks" in capsys.readouterr().err
    run = runs.newest(tmp_path / "runs")
    assert run.config["data"]["about"] == "made up"
    assert run.config["data"]["tracks"] == {"train": 6, "valid": 6}
    assert run.config["recipe"]["seed"] == 1
    assert len(run.config["data"]["sha256"]) == 64
    assert run.metrics["valid"]["tracks"] == 6
    assert len(run.metrics["history"]) == 1
    assert run.model().count_params() == run.metrics["parameters"]


@pytest.mark.parametrize("arguments", [["missing"], [".", "--splits", "missing"]])
def test_the_command_says_what_is_wrong(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert "error: missing" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_unfinished_run_is_not_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no finished run"):
        runs.newest(tmp_path)
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match="is not a run"):
        runs.Run.load(tmp_path / "a")
    values = {"front_end": FrontEnd().to_dict(), "genres": ["a"]}
    (tmp_path / "a" / "config.json").write_text(json.dumps(values))
    (tmp_path / "a" / "metrics.json").write_text("{}")
    with pytest.raises(DataError, match="has no model"):
        runs.Run.load(tmp_path / "a")
