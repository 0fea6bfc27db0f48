"""Networks on a base, and runs that learn from others."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from serve.audio.frontend import FrontEnd
from tests.outputs import said
from tests.train import synthetic, teachers
from train.__main__ import main
from train.data.dataset import Dataset, Float32
from train.errors import DataError
from train.fitting import distil, runs
from train.fitting.distil import Distillation
from train.fitting.fit import FitProgress, fit
from train.fitting.recipe import Recipe
from train.model import audioset, base
from train.model.architecture import Architecture
from train.model.network import base_variables
from train.model.pinned import Pinned
from train.scoring.scores import Predict

RECIPE = Recipe(epochs=2, clips_per_track=4, batch=8, not_music=0.1)
SHORT = ("--epochs", "1", "--clips-per-track", "2", "--batch", "6")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a `dataset` and a `base.keras`."""
    folder = tmp_path_factory.mktemp("place")
    front_end = audioset.AT_22_050_HZ
    synthetic.write_dataset(folder / "dataset", 3 * front_end.frames, front_end)
    teachers.write_teacher(folder / "teacher.keras")
    teachers.write_audio(folder / "audio")
    assert main(teachers.adapt_arguments(folder, folder / "base.keras")) == 0
    return folder


@pytest.fixture(scope="module")
def taught_by(place: Path) -> Path:
    """A finished run on the base."""
    assert main(arguments(place, "first")) == 0
    return runs.newest(place / "first").folder


def arguments(place: Path, name: str) -> list[str]:
    cache = ["--cache", str(place / "data")]
    base = ["--base", str(place / "base.keras")]
    return [str(place / "dataset"), "--runs", str(place / name), *cache, *SHORT, *base]


def say(*probabilities: float) -> Float32:
    return np.array([probabilities], np.float32)


def teacher(*probabilities: float) -> Predict:
    return lambda _: said([probabilities])


def test_targets_are_labels_and_teachers_in_their_shares() -> None:
    mel = np.zeros((1, 16, 128), np.float32)
    label, nothing = say(1.0, 0.0), say(0.5, 0.5)
    recipe = Recipe(teacher_share=0.75, label_smoothing=0.2)
    alone = Distillation(recipe, [teacher(0.2, 0.8)])
    np.testing.assert_allclose(
        alone.targets(mel, label), say(0.25 * 0.9 + 0.75 * 0.2, 0.25 * 0.1 + 0.75 * 0.8), atol=1e-5
    )
    np.testing.assert_array_equal(alone.targets(mel, nothing), nothing)
    two = Distillation(replace(recipe, teacher_share=1.0), [teacher(0.2, 0.8)] * 2)
    np.testing.assert_allclose(two.targets(mel, label), say(0.2, 0.8), atol=1e-5)
    unlike = [teacher(0.9, 0.1), teacher(0.5, 0.5)]
    mean = Distillation(replace(recipe, teacher_share=1.0), unlike).targets(mel, label)
    np.testing.assert_allclose(mean, say(0.75, 0.25), atol=1e-5)
    assert Distillation(recipe, []).targets(mel, label) is label


def test_base_and_teachers_go_on_after_a_stop(place: Path, taught_by: Path, tmp_path: Path) -> None:
    data = Dataset.load(place / "dataset")
    recipe = replace(
        RECIPE,
        architecture=Architecture(base=Pinned.of(place / "base.keras")),
        teachers=distil.pin([taught_by]),
    )
    assert Recipe.from_dict(json.loads(json.dumps(asdict(recipe)))) == recipe

    class Stopped(Exception):
        pass

    def stop(now: FitProgress) -> None:
        if now.epoch == 2:
            raise Stopped

    state = tmp_path / "state.npz"
    with pytest.raises(Stopped):
        fit(data, recipe, stop, state=state)
    resumed = fit(data, recipe, lambda _: None, state=state)
    whole = fit(data, recipe, lambda _: None)
    for one, other in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
    apart = fit(data, replace(recipe, teachers=()), lambda _: None)
    head = [model.get_layer("logits").get_weights()[0] for model in (whole, apart)]
    assert np.abs(head[0] - head[1]).max() > 1e-5, "teachers change what is learnt"


def test_a_base_moves_at_its_own_rate(place: Path) -> None:
    data = Dataset.load(place / "dataset")
    pinned = Pinned.of(place / "base.keras")
    before = [np.asarray(v) for v in base.load(pinned).trainable_variables]
    moved = []
    for rate in (0.0, 0.1):
        recipe = replace(RECIPE, architecture=Architecture(base=pinned), base_rate=rate)
        after = base_variables(fit(data, recipe, lambda _: None))
        assert len(after) == len(before) >= 4
        moved.append(
            max(float(np.abs(np.asarray(a) - b).max()) for a, b in zip(after, before, strict=True))
        )
    assert moved[0] < 1e-6 < moved[1]


def test_a_run_says_what_it_was_made_from(place: Path, taught_by: Path) -> None:
    taught = [*arguments(place, "second"), "--teachers", str(taught_by), "--teacher-share", "0.5"]
    assert main(taught) == 0
    first, second = runs.Run.load(taught_by), runs.newest(place / "second")
    assert first.config["recipe"]["architecture"]["base"] == {
        "file": str(place / "base.keras"),
        "sha256": Pinned.of(place / "base.keras").sha256,
    }
    (teacher,) = second.config["recipe"]["teachers"]
    assert Path(teacher["file"]).parent == taught_by
    assert teacher["sha256"] == Pinned.of(first.checkpoint).sha256
    assert second.config["recipe"]["teacher_share"] == 0.5
    assert main(["evaluate", str(taught_by), "--cache", str(place / "data"), "--json"]) == 0


def test_what_cannot_teach_is_refused(
    place: Path, taught_by: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lists = tmp_path / "lists"
    lists.mkdir()
    # The second track of each genre, which the teacher was trained on, is valid now.
    for split, numbers in (("train", (0, 2)), ("valid", (1, 3))):
        names = [f"{genre}.{n:05d}" for genre in synthetic.GENRES for n in numbers]
        (lists / f"{split}.txt").write_text("\n".join(names) + "\n")
    other = [*arguments(place, "refused"), "--splits", str(lists)]
    assert main([*other, "--teachers", str(taught_by)]) == 2
    assert "3 of the valid tracks were in its training" in " ".join(capsys.readouterr().err.split())
    # Nor may they come by way of a teacher's teacher.
    apart = tmp_path / "apart"
    apart.mkdir()
    (apart / "train.txt").write_text("chords.00003\nnoise.00003\npulses.00003\n")
    (apart / "valid.txt").write_text("chords.00002\nnoise.00002\npulses.00002\n")
    second = [*arguments(place, "apart"), "--splits", str(apart), "--teachers", str(taught_by)]
    assert main(second) == 0
    capsys.readouterr()
    between = runs.newest(place / "apart").folder
    lists.joinpath("valid.txt").write_text("chords.00001\nnoise.00001\npulses.00001\n")
    assert main([*other, "--teachers", str(between)]) == 2
    assert "3 of the valid tracks were in its training" in " ".join(capsys.readouterr().err.split())
    assert main([*arguments(place, "refused"), "--teachers", str(tmp_path)]) == 2
    assert "is not a run" in capsys.readouterr().err
    assert main([*arguments(place, "refused"), "--teacher-share", "0.5"]) == 2
    assert "needs --teachers" in capsys.readouterr().err
    assert not (place / "refused").exists()
    data = Dataset.load(place / "dataset")
    pinned = distil.pin([taught_by])
    for wrong, text in (
        (replace(data, front_end=FrontEnd(f_max=8000.0)), "another front end"),
        (replace(data, genres=("chords", "noise", "pulses", "x")), "its genres are"),
    ):
        with pytest.raises(DataError, match=text):
            distil.teachers(pinned, wrong)
    changed = replace(pinned[0], sha256="0")
    with pytest.raises(DataError, match="has changed"):
        distil.teachers([changed], data)
