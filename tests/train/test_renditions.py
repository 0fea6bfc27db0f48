"""Renditions of tracks, from audio made up in the test."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from serve.audio.frontend import FrontEnd
from tests.train import synthetic
from train.__main__ import main
from train.data import Source, prepare
from train.dataset import Dataset
from train.errors import DataError
from train.plan import Plan, apply
from train.renditions import AS_IT_IS, RENDITIONS

FRONT_END = FrontEnd()
RATE = FRONT_END.sample_rate


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Audio of two tracks of the recovered spectrograms, of a stranger, and no audio."""
    folder = tmp_path_factory.mktemp("audio")
    for genre, number in (("chords", 0), ("noise", 2), ("pulses", 77)):
        (folder / genre).mkdir()
        sound = synthetic.sound(genre, number, RATE)
        soundfile.write(folder / genre / f"{genre}.{number:05d}.wav", sound, RATE)
    (folder / "noise" / "noise.00001.wav").write_bytes(b"RIFF but not for long")
    (folder / "noise" / "._noise.00000.wav").write_bytes(b"\0")
    return folder


@pytest.fixture(scope="module")
def recovered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spectrograms") / "recovered"
    synthetic.write_recovered(folder)
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def data(recovered: Path, audio: Path, cache: Path) -> Dataset:
    steps: list[tuple[int, int]] = []
    source = Source(recovered, cache, audio=audio)
    found = prepare(source, lambda done, total: steps.append((done, total))).data
    assert steps == sorted(steps)
    assert steps[-1] == (12 + 4 * len(RENDITIONS),) * 2
    return found


def test_only_training_sees_them(data: Dataset) -> None:
    assert len(data.tracks) == 12
    assert not any(track.rendition for track in data.tracks)
    assert set(data.renditions) == {"chords.00000", "noise.00002"}
    for renditions in data.renditions.values():
        assert [track.rendition for track in renditions] == [kind.name for kind in RENDITIONS]
        assert {track.source_hz for track in renditions} == {RATE}
    assert data.source == f"recovered spectrograms, {2 * len(RENDITIONS)} renditions of audio"
    assert {entry.name: entry.reason for entry in data.skipped} == {
        "noise/._noise.00000.wav": "a hidden file",
        "noise/noise.00001.wav": "unreadable: Format not recognised.",
        "pulses/pulses.00077.wav": "no track of the data",
    }


def test_they_go_where_their_track_goes(data: Dataset, tmp_path: Path) -> None:
    artists = tmp_path / "artists.csv"
    rows = [f"{track.track},{track.track}" for track in data.tracks]
    artists.write_text("\n".join(["track,artist", *rows]))
    for plan in (Plan(by="artists", artists=artists), Plan(by="chance")):
        split = apply(data, plan).data
        assert sorted(t.track for t in split.tracks) == sorted(t.track for t in data.tracks)
        assert split.renditions is data.renditions
    clips = apply(data, Plan(by="clips")).data
    assert not any(track.track in clips.renditions for track in clips.tracks)


def test_renditions_are_the_track_through_the_front_end(data: Dataset) -> None:
    spectrograms = {}
    for track in data.renditions["chords.00000"]:
        mel_db = data.mel_db[track.start : track.start + track.frames].astype(np.float32)
        assert mel_db.max() == 0.0
        spectrograms[track.rendition] = mel_db
    plain = spectrograms.pop(AS_IT_IS.name)
    loud = plain.mean(axis=0) > -40.0
    for name, mel_db in spectrograms.items():
        frames = min(len(plain), len(mel_db))
        assert frames >= len(plain) - 1
        change = np.abs(mel_db[1 : frames - 1] - plain[1 : frames - 1])[:, loud]
        # A steady chord is the same later; codecs and clipping change it a little.
        assert 0.0 < change.mean() < 3.0, name


def test_offset_gain_and_clipping() -> None:
    ramp = np.linspace(-0.9, 0.9, 3 * RATE, dtype=np.float32)
    later = replace(AS_IT_IS, offset=0.5).of(ramp, FRONT_END)
    np.testing.assert_array_equal(later, ramp[FRONT_END.hop_length // 2 :])
    louder = replace(AS_IT_IS, gain_db=6.0).of(ramp, FRONT_END)
    np.testing.assert_allclose(louder, np.clip(ramp * 10**0.3, -1.0, 1.0), rtol=1e-5)
    assert (np.abs(louder) == 1.0).mean() > 0.3


def test_the_same_input_is_the_same_dataset(
    data: Dataset, recovered: Path, audio: Path, cache: Path, tmp_path: Path
) -> None:
    assert data.folder is not None
    other = prepare(Source(recovered, tmp_path, audio=audio), lambda done, total: None).data
    assert other.digest == data.digest
    assert other.folder is not None
    assert other.folder.name == data.folder.name
    before = data.folder.stat().st_mtime_ns, sorted(cache.iterdir())
    assert prepare(Source(recovered, cache, audio=audio), lambda done, total: None).data.tracks
    assert (data.folder.stat().st_mtime_ns, sorted(cache.iterdir())) == before, "kept"
    plain = prepare(Source(recovered, tmp_path), lambda done, total: None).data
    assert plain.folder is not None
    assert plain.folder.name != data.folder.name
    assert plain.digest != data.digest
    assert "rendition" not in (plain.folder / "tracks.csv").read_text()


def test_another_sound_is_another_dataset(recovered: Path, audio: Path, tmp_path: Path) -> None:
    changed = tmp_path / "audio"
    shutil.copytree(audio, changed)
    first = prepare(Source(recovered, tmp_path / "c", audio=changed), lambda *_: None).data
    path = changed / "chords" / "chords.00000.wav"
    soundfile.write(path, synthetic.sound("chords", 5, RATE, seconds=4.0), RATE)
    second = prepare(Source(recovered, tmp_path / "c", audio=changed), lambda *_: None).data
    assert first.digest != second.digest
    assert first.folder != second.folder


def test_a_folder_of_audio_takes_renditions_of_its_own(tmp_path: Path) -> None:
    for genre in ("chords", "noise"):
        (tmp_path / "in" / genre).mkdir(parents=True)
        path = tmp_path / "in" / genre / f"{genre}.00000.wav"
        soundfile.write(path, synthetic.sound(genre, 1, RATE, seconds=3.0), RATE)
    (tmp_path / "in" / "noise" / "noise.00001.wav").write_bytes(b"RIFF")
    arguments = ["data", str(tmp_path / "in"), "--renditions", "--cache", str(tmp_path / "out")]
    assert main(arguments) == 0
    (folder,) = (tmp_path / "out").iterdir()
    own = Dataset.load(folder)
    kinds = [kind.name for kind in RENDITIONS if kind != AS_IT_IS]
    for track in own.tracks:
        assert [of.rendition for of in own.renditions[track.track]] == kinds
    assert [entry.name for entry in own.skipped] == ["noise/noise.00001.wav"]
    assert "unreadable" in own.skipped[0].reason


def test_a_run_trains_on_them(recovered: Path, audio: Path, cache: Path, tmp_path: Path) -> None:
    places = ["--runs", str(tmp_path), "--cache", str(cache)]
    short = ["--epochs", "1", "--clips-per-track", "2", "--batch", "4"]
    assert main([str(recovered), "--audio", str(audio), *places, *short]) == 0
    (run,) = tmp_path.iterdir()
    with (run / "tracks.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 12
    assert main(["evaluate", str(run), "--part", "all", *places]) == 0


def test_a_rendition_of_nothing_is_a_broken_dataset(data: Dataset, tmp_path: Path) -> None:
    assert data.folder is not None
    folder = tmp_path / "dataset"
    shutil.copytree(data.folder, folder)
    table = folder / "tracks.csv"
    for before, after in (("noise.00002,noise", "noise.99999,noise"), (",noise,", ",chords,")):
        lines = (data.folder / "tracks.csv").read_text().splitlines()
        lines[-1] = lines[-1].replace(before, after)
        table.write_text("\n".join(lines))
        with pytest.raises(DataError, match="is no rendition of it"):
            Dataset.load(folder)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--audio", "strangers"], "of a track of the data"),
        (["--audio", "nowhere"], "nowhere is no folder"),
        (["--renditions"], "no files genre/track"),
        (["--renditions", "--audio", "strangers"], "not of --audio"),
    ],
)
def test_what_is_wrong_is_said(
    recovered: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    text: str,
) -> None:
    (tmp_path / "strangers" / "chords").mkdir(parents=True)
    path = tmp_path / "strangers" / "chords" / "chords.00099.wav"
    soundfile.write(path, synthetic.sound("chords", 1, RATE, seconds=2.0), RATE)
    monkeypatch.chdir(tmp_path)
    assert main(["data", str(recovered), *arguments]) == 2
    assert text in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.glob("data/*/dataset.json"))


def test_a_finished_dataset_takes_none(data: Dataset, audio: Path, tmp_path: Path) -> None:
    assert data.folder is not None
    with pytest.raises(DataError, match="takes no renditions"):
        prepare(Source(data.folder, tmp_path, audio=audio), lambda done, total: None)
