from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import scipy.signal

from serve.audio.frontend import FrontEnd
from serve.audio.mel import MelSpectrogram
from tests.train import teachers
from train.__main__ import main
from train.adapting.unlabelled import Targets
from train.errors import DataError
from train.model import audioset, audioset_classes, base
from train.model.logistic import balanced, music_head, regression
from train.model.pinned import Pinned
from train.model.teacher_input import TeacherInput

FRONT_END = audioset.AT_22_050_HZ


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    teachers.write_teacher(tmp_path / "teacher.keras")
    teachers.write_audio(tmp_path / "audio")
    return tmp_path


def test_a_teacher_comes_nearer_and_the_same_for_a_seed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = folder / "out" / "one.keras", folder / "out" / "other.keras"
    assert main(teachers.adapt_arguments(folder, one, steps=60)) == 0
    (made,) = (folder / "targets").iterdir()
    # 8 s hold 5 clips and 5 s hold 3; the short file and the text hold none.
    targets = Targets.load(made)
    assert targets.mel_db.shape == (3 * 5 + 3, *FRONT_END.clip_shape)
    assert targets.embedding.shape == (18, teachers.FEATURES)
    assert targets.logits.shape == (18, len(teachers.NAMES))
    assert targets.front_end == FRONT_END
    assert "18 clips of" in capsys.readouterr().err
    notes = json.loads(one.with_suffix(".json").read_text())
    before, after = notes["unexplained"]["before"], notes["unexplained"]["after"]
    assert after["embedding"] < before["embedding"]
    assert after["logits"] < before["logits"]
    assert notes["sha256"] == Pinned.of(one).sha256
    assert notes["teacher"]["sha256"] == Pinned.of(folder / "teacher.keras").sha256
    assert notes["adaptation"]["steps"] == 60

    stamp = (made / "targets.json").stat().st_mtime_ns
    assert main(teachers.adapt_arguments(folder, other, steps=60)) == 0
    assert (made / "targets.json").stat().st_mtime_ns == stamp, "targets are made once"
    models = [base.load(Pinned.of(path), FRONT_END) for path in (one, other)]
    for a, b in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)
    silence = np.zeros((2, *FRONT_END.clip_shape), np.float32)
    said = models[0].predict(silence, verbose=0)
    classes = len((*audioset_classes.TAGS, *audioset_classes.SOUNDS, *audioset_classes.CLUES))
    assert {name: of.shape for name, of in said.items()} == {
        "embedding": (2, teachers.FEATURES + classes),
        "music": (2,),
        "tags": (2, len(audioset_classes.TAGS) + len(audioset_classes.SOUNDS)),
    }
    assert all(np.isfinite(of).all() for of in said.values())


def test_what_is_wrong_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "silent").mkdir()
    (folder / "silent" / "notes.txt").write_text("not audio")
    (folder / "empty").mkdir()
    (folder / "few.csv").write_text("index,mid,display_name\n0,/m/0,Speech\n")
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(folder / "other.keras")
    (folder / "broken.keras").write_bytes(b"PK")
    teacher, audio, out = (str(folder / name) for name in ("teacher.keras", "audio", "out.keras"))
    for arguments, text in (
        ([str(folder / "none.keras"), audio, "--out", out], "can't be read"),
        ([teacher, audio, "--out", out, "--labels", "none.csv"], "not a table of classes"),
        ([teacher, audio, "--out", out, "--labels", str(folder / "few.csv")], "has no class 'Punk"),
        ([str(folder / "broken.keras"), audio, "--out", out], "is not a Keras model"),
        ([str(folder / "other.keras"), audio, "--out", out], "is not a teacher"),
        ([teacher, str(folder / "empty"), "--out", out], "holds no files"),
        ([teacher, str(folder / "silent"), "--out", out], "holds no clip of audio"),
        ([teacher, audio, "--out", str(folder / "out.h5")], "must end in .keras"),
        ([teacher, audio, "--out", out, "--n-fft", "100"], "invalid front end"),
    ):
        more = ["--cache", str(folder / "targets")]
        if "--labels" not in arguments:
            more += ["--labels", str(folder / "labels.csv")]
        assert main(["adapt", *arguments, *more]) == 2
        assert text in " ".join(capsys.readouterr().err.split())
    assert not (folder / "out.keras").exists()


def test_a_base_is_of_its_front_end_and_unchanged(folder: Path) -> None:
    out = folder / "out.keras"
    assert main(teachers.adapt_arguments(folder, out)) == 0
    pinned = Pinned.of(out)
    with pytest.raises(DataError, match="another front end"):
        base.load(pinned, FrontEnd())
    with pytest.raises(DataError, match="is not a base"):
        base.load(Pinned.of(folder / "teacher.keras"), FRONT_END)
    out.write_bytes(b"another")
    with pytest.raises(DataError, match="has changed"):
        base.load(pinned, FRONT_END)


def test_the_native_front_end_hears_a_tone_where_it_is() -> None:
    log_mel = audioset.LogMel()
    t = np.arange(round(1.4 * audioset.SAMPLE_RATE)) / audioset.SAMPLE_RATE
    tones = [0.3 * np.sin(2 * np.pi * hz * t) for hz in (440.0, 3000.0)]
    heard = log_mel(np.stack([*tones, 0.0 * t]).astype(np.float32))
    assert heard.shape == (3, 128, 140, 1)
    for clip, hz in zip(heard, (440.0, 3000.0), strict=False):
        loudest = clip.mean(axis=(1, 2)).argmax()
        assert loudest == np.abs(audioset.centres_hz() - hz).argmin()
    np.testing.assert_allclose(heard[2], (np.log(1e-5) + 4.5) / 5.0, rtol=1e-5)


def test_our_bands_are_the_teachers_own() -> None:
    """The same sounds at both rates come to nearly the same input."""
    rng = np.random.default_rng(0)
    noise = np.cumsum(rng.standard_normal((4, 44_800)), axis=1)
    theirs = noise - scipy.signal.resample_poly(noise, 1, 400, axis=1).repeat(400, axis=1)
    ours = scipy.signal.resample_poly(theirs, 441, 640, axis=1)
    native = audioset.LogMel()(theirs.astype(np.float32))[..., 0]
    as_input = TeacherInput(FRONT_END.to_dict())
    mel = MelSpectrogram(FRONT_END)(ours.astype(np.float32))
    made = np.asarray(as_input(mel))[..., 0]
    assert made.shape == (4, audioset.BANDS, FRONT_END.frames)
    # The lowest bands have no bin of their own, and the last one lies where resampling ends.
    near, there = (of.mean(axis=(0, 2))[20 : FRONT_END.n_mels - 3] for of in (made, native))
    assert np.ptp(there) > 0.4
    np.testing.assert_allclose(near - near.mean(), there - there.mean(), atol=0.06)
    # What we do not have is as empty as silence is.
    empty = (np.log(audioset.FLOOR) - audioset.MEAN) / audioset.DEVIATION
    np.testing.assert_allclose(made[:, FRONT_END.n_mels :], empty, rtol=1e-5)


def test_a_clips_level_plays_no_part() -> None:
    as_input = TeacherInput(FRONT_END.to_dict())
    mel = np.random.default_rng(0).exponential(size=(3, *FRONT_END.clip_shape)).astype(np.float32)
    one = np.asarray(as_input(mel))
    np.testing.assert_allclose(np.asarray(as_input(mel * np.float32(0.01))), one, atol=1e-5)
    silence = np.asarray(as_input(0.0 * mel))
    assert np.ptp(silence) == 0.0
    again = TeacherInput.from_config(as_input.get_config())
    assert (again.front_end, again.level) == (FRONT_END, as_input.level)


def test_music_is_told_from_the_rest_by_a_line() -> None:
    rng = np.random.default_rng(0)
    music = rng.normal([2.0, 0.0, 0.0], 1.0, (400, 3)).astype(np.float32)
    other = rng.normal([-2.0, 0.0, 0.0], 1.0, (100, 3)).astype(np.float32)
    weights, bias = music_head(music, other, 1e-2)
    assert (music @ weights + bias > 0).mean() > 0.95
    assert (other @ weights + bias < 0).mean() > 0.95
    assert weights[0] > 5 * np.abs(weights[1:]).max()
    # The few weigh as much as the many: the line lies half-way.
    assert abs(bias / weights[0]) < 0.5


def test_the_regression_is_the_likeliest() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [300, 30, 60])
    centres = np.array([[0.0, 0.0, 5.0], [3.0, 0.0, 5.0], [0.0, 3.0, 5.0]])
    features = (centres[labels] + rng.normal(size=(390, 3))).astype(np.float32)
    targets = np.eye(3, dtype=np.float32)[labels]
    weights = balanced(labels)
    np.testing.assert_allclose([weights[labels == n].sum() for n in range(3)], 1.0)
    kernel, bias = regression(features, targets, weights, 1e-3)
    found = (features @ kernel + bias).argmax(axis=1)
    # The rare are found as often as the frequent.
    assert all((found[labels == n] == n).mean() > 0.85 for n in range(3))
    tight, _ = regression(features, targets, weights, 1.0)
    assert np.abs(tight).max() < 0.5 * np.abs(kernel).max()
