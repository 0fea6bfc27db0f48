from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from serve.audio.frontend import FrontEnd
from tests.train import teachers
from train import audioset, base
from train.__main__ import main
from train.errors import DataError
from train.pinned import Pinned
from train.unlabelled import Targets
from train.warp import Warp, interpolation

FRONT_END = FrontEnd()


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
    assert targets.logits.shape == (18, teachers.CLASSES)
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
    embedding = models[0].predict(silence, verbose=0)
    assert embedding.shape == (2, teachers.FEATURES)
    assert np.isfinite(embedding).all()


def test_what_is_wrong_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "silent").mkdir()
    (folder / "silent" / "notes.txt").write_text("not audio")
    (folder / "empty").mkdir()
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(folder / "other.keras")
    (folder / "broken.keras").write_bytes(b"PK")
    teacher, audio, out = (str(folder / name) for name in ("teacher.keras", "audio", "out.keras"))
    for arguments, text in (
        ([str(folder / "none.keras"), audio, "--out", out], "can't be read"),
        ([str(folder / "broken.keras"), audio, "--out", out], "is no Keras model"),
        ([str(folder / "other.keras"), audio, "--out", out], "is no teacher"),
        ([teacher, str(folder / "empty"), "--out", out], "holds no files"),
        ([teacher, str(folder / "silent"), "--out", out], "holds no clip of audio"),
        ([teacher, audio, "--out", str(folder / "out.h5")], "must end in .keras"),
        ([teacher, audio, "--out", out, "--n-fft", "40000"], "that front end can't be"),
    ):
        cache = ["--cache", str(folder / "targets")]
        assert main(["adapt", *arguments, *cache]) == 2
        assert text in " ".join(capsys.readouterr().err.split())
    assert not (folder / "out.keras").exists()


def test_a_base_is_of_its_front_end_and_unchanged(folder: Path) -> None:
    out = folder / "out.keras"
    assert main(teachers.adapt_arguments(folder, out)) == 0
    pinned = Pinned.of(out)
    with pytest.raises(DataError, match="another front end"):
        base.load(pinned, FrontEnd(hop_length=960))
    with pytest.raises(DataError, match="no adapted teacher"):
        base.load(Pinned.of(folder / "teacher.keras"), FRONT_END)
    out.write_bytes(b"another")
    with pytest.raises(DataError, match="not what it was"):
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


def test_the_warp_brings_bands_to_their_place_and_level() -> None:
    warp = Warp(FRONT_END.to_dict())
    mel = np.full((1, *FRONT_END.clip_shape), 1e-6, np.float32)
    mel[:, :, 14:18] = 1.0  # up to 1 kHz bands are 25.8 Hz apart
    warped = np.asarray(warp(mel))
    assert warped.shape == (1, 128, 2 * FRONT_END.frames - 1, 1)
    loud = audioset.centres_hz()[warped[0, :, 0, 0] > -0.5]
    assert 15 * 25.8 < loud.min() < loud.max() < 18 * 25.8
    np.testing.assert_array_equal(np.asarray(warp(7.0 * mel)), warped)
    rng = np.random.default_rng(0)
    clips = rng.exponential(size=(8, *FRONT_END.clip_shape)).astype(np.float32)
    mean = np.linspace(-1.0, 1.0, 128, dtype=np.float32)
    warp.match(clips, mean, np.full(128, 0.3, np.float32))
    matched = np.asarray(warp(clips))
    np.testing.assert_allclose(matched.mean(axis=(0, 2, 3)), mean, atol=1e-4)
    # A little less than asked for: quiet bands are not blown up.
    np.testing.assert_allclose(matched.std(axis=(0, 2, 3)), 0.26, atol=0.05)
    again = Warp.from_config(warp.get_config())
    assert again.front_end == FRONT_END


def test_interpolation_is_linear() -> None:
    weights = interpolation(np.array([0.0, 0.25, 2.0]), 3)
    wanted = np.array([[1.0, 0.0, 0.0], [0.75, 0.25, 0.0], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(weights, wanted)
