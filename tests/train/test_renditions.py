"""Renditions of tracks, from audio made up in the test."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from serve.audio.frontend import FrontEnd
from tests.train import synthetic
from train.__main__ import main
from train.data.dataset import Dataset, Float32
from train.data.plan import SplitPlan, apply
from train.data.renditions import RENDITIONS, Rendition
from train.data.source import Source, prepare
from train.data.tracks import Track
from train.errors import DataError
from train.fitting.runs import Run

FRONT_END = FrontEnd()
RATE = FRONT_END.sample_rate
SPLIT_OF = {
    **{"chords.00000": "train", "chords.00001": "valid"},
    **{"noise.00002": "train", "noise.00003": "valid"},
}


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two genres of two tracks and a table of splits, with files of no use."""
    folder = tmp_path_factory.mktemp("audio")
    for name in SPLIT_OF:
        genre, number = name.split(".")
        (folder / genre).mkdir(exist_ok=True)
        sound = synthetic.sound(genre, int(number), RATE, seconds=4.0)
        soundfile.write(folder / genre / f"{name}.wav", sound, RATE)
    rows = [f"{name},{split}" for name, split in SPLIT_OF.items()]
    (folder / "tracks.csv").write_text("\n".join(["track,split", *rows]) + "\n")
    (folder / "noise" / "noise.00001.wav").write_bytes(b"RIFF but not for long")
    (folder / "noise" / "._noise.00000.wav").write_bytes(b"\0")
    (folder / "noise" / "notes.txt").write_text("not audio")
    soundfile.write(folder / "noise" / "noise.00002.flac", synthetic.sound("noise", 2, RATE), RATE)
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def data(audio: Path, cache: Path) -> Dataset:
    steps: list[tuple[int, int]] = []
    source = Source(audio, cache, renditions=True)
    found = prepare(source, lambda done, total: steps.append((done, total))).data
    assert steps == sorted(steps)
    assert steps[-1] == (5 * (1 + len(RENDITIONS)),) * 2
    return found


def made(audio: Path, cache: Path) -> Dataset:
    return prepare(Source(audio, cache, renditions=True), lambda done, total: None).data


def test_only_training_sees_them(data: Dataset) -> None:
    assert {track.track: track.split for track in data.tracks} == SPLIT_OF
    assert not any(track.rendition for track in data.tracks)
    assert set(data.renditions) == set(SPLIT_OF)
    for name, renditions in data.renditions.items():
        assert [track.rendition for track in renditions] == [kind.name for kind in RENDITIONS]
        assert {track.source_hz for track in renditions} == {RATE}
        assert {track.split for track in renditions} == {SPLIT_OF[name]}
    assert data.source == f"audio files, {4 * len(RENDITIONS)} renditions of them"
    assert {entry.name: entry.reason for entry in data.skipped} == {
        "noise/._noise.00000.wav": "a hidden file",
        "noise/noise.00001.wav": "unreadable: No audio could be read from this.",
        "noise/noise.00002.wav": "a second copy of noise.00002.flac",
        "noise/notes.txt": "not a kind of audio file: .txt",
    }


def test_they_go_where_their_track_goes(data: Dataset, tmp_path: Path) -> None:
    artists = tmp_path / "artists.csv"
    rows = [f"{track.track},{track.track}" for track in data.tracks]
    artists.write_text("\n".join(["track,artist", *rows]))
    for plan in (SplitPlan(by="artists", artists=artists, folds=2), SplitPlan(by="chance")):
        split = apply(data, plan).data
        assert sorted(t.track for t in split.tracks) == sorted(t.track for t in data.tracks)
        assert split.renditions is data.renditions
    clips = apply(data, SplitPlan(by="clips")).data
    assert not any(track.track in clips.renditions for track in clips.tracks)


def test_renditions_are_the_track_through_the_front_end(data: Dataset) -> None:
    def spectrogram(track: Track) -> Float32:
        mel_db = data.mel_db[track.start : track.start + track.frames].astype(np.float32)
        assert mel_db.max() == 0.0
        return mel_db

    (plain,) = (spectrogram(track) for track in data.tracks if track.track == "chords.00000")
    loud = plain.mean(axis=0) > -40.0
    for track in data.renditions["chords.00000"]:
        mel_db = spectrogram(track)
        frames = min(len(plain), len(mel_db))
        assert frames >= len(plain) - 1
        change = np.abs(mel_db[1 : frames - 1] - plain[1 : frames - 1])[:, loud]
        # A steady chord is the same later; codecs and clipping change it a little.
        assert 0.0 < change.mean() < 3.0, track.rendition


def test_offset_gain_and_clipping() -> None:
    ramp = np.linspace(-0.9, 0.9, 3 * RATE, dtype=np.float32)
    later = Rendition("later", offset=0.5).of(ramp, FRONT_END)
    np.testing.assert_array_equal(later, ramp[FRONT_END.hop_length // 2 :])
    louder = Rendition("louder", gain_db=6.0).of(ramp, FRONT_END)
    np.testing.assert_allclose(louder, np.clip(ramp * 10**0.3, -1.0, 1.0), rtol=1e-5)
    assert (np.abs(louder) == 1.0).mean() > 0.3


def test_codecs_at_low_rates_leave_each_track_another_treble() -> None:
    noise = np.random.default_rng(1).normal(0.0, 0.1, 3 * RATE).astype(np.float32)
    (low,) = (kind for kind in RENDITIONS if kind.name == "AAC 44k to 56k, -6 dB")
    edges = [edge(low.of(noise, FRONT_END, number)) for number in range(4)]
    assert edges[3] == edges[0], "each has its turn"
    assert 5000 < edges[0] < 6000 < edges[1] < 7900 < edges[2] < 9000


def edge(samples: Float32) -> float:
    """Where the treble ends, in Hz."""
    power = np.square(np.abs(np.fft.rfft(samples)))
    hz = np.fft.rfftfreq(len(samples), 1.0 / RATE)
    return float(hz[np.searchsorted(np.cumsum(power) / power.sum(), 0.999)])


def test_the_same_input_is_the_same_dataset(
    data: Dataset, audio: Path, cache: Path, tmp_path: Path
) -> None:
    assert data.folder is not None
    other = made(audio, tmp_path)
    assert other.digest == data.digest
    assert other.folder is not None
    assert other.folder.name == data.folder.name
    before = data.folder.stat().st_mtime_ns, sorted(cache.iterdir())
    assert made(audio, cache).tracks
    assert (data.folder.stat().st_mtime_ns, sorted(cache.iterdir())) == before, "kept"
    plain = prepare(Source(audio, tmp_path), lambda done, total: None).data
    assert plain.folder is not None
    assert plain.folder.name != data.folder.name
    assert plain.digest != data.digest
    assert "rendition" not in (plain.folder / "tracks.csv").read_text()


def test_another_sound_is_another_dataset(audio: Path, tmp_path: Path) -> None:
    changed = tmp_path / "audio"
    shutil.copytree(audio, changed)
    first = made(changed, tmp_path / "c")
    path = changed / "chords" / "chords.00000.wav"
    soundfile.write(path, synthetic.sound("chords", 5, RATE, seconds=4.0), RATE)
    second = made(changed, tmp_path / "c")
    assert first.digest != second.digest
    assert first.folder != second.folder


def test_a_track_that_a_shift_leaves_too_short_is_named(tmp_path: Path) -> None:
    (tmp_path / "in" / "chords").mkdir(parents=True)
    seconds = FRONT_END.clip_s + 0.5 * FRONT_END.hop_length / RATE
    for number, length in enumerate((3.0, seconds)):
        path = tmp_path / "in" / "chords" / f"chords.{number:05d}.wav"
        soundfile.write(path, synthetic.sound("chords", 1, RATE, seconds=length), RATE)
    arguments = ["data", str(tmp_path / "in"), "--renditions", "--cache", str(tmp_path / "out")]
    assert main([*arguments, "--from-scratch"]) == 0
    (folder,) = (tmp_path / "out").iterdir()
    own = Dataset.load(folder)
    assert [track.track for track in own.tracks] == ["chords.00000", "chords.00001"]
    kinds = [kind.name for kind in RENDITIONS]
    assert [of.rendition for of in own.renditions["chords.00000"]] == kinds
    assert [of.rendition for of in own.renditions["chords.00001"]] == kinds[:2]
    assert [entry.name for entry in own.skipped] == ["chords/chords.00001.wav"]
    assert "not all its renditions: shorter than a clip" in own.skipped[0].reason


def test_a_run_trains_on_them(audio: Path, cache: Path, data: Dataset, tmp_path: Path) -> None:
    places = ["--runs", str(tmp_path), "--cache", str(cache)]
    short = ["--epochs", "1", "--clips-per-track", "2", "--batch", "4", "--from-scratch"]
    assert main([str(audio), "--renditions", *places, *short]) == 0
    (run,) = tmp_path.iterdir()
    with (run / "tracks.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 4
    config = Run.load(run).config
    assert config["data"]["files_sha256"] == data.digest
    assert config["data"]["audio"] == str(audio)
    assert main(["evaluate", str(run), "--part", "all", *places]) == 0


def test_a_rendition_of_nothing_is_a_broken_dataset(data: Dataset, tmp_path: Path) -> None:
    assert data.folder is not None
    folder = tmp_path / "dataset"
    shutil.copytree(data.folder, folder)
    table = folder / "tracks.csv"
    for before, after in (("noise.00003,noise", "noise.99999,noise"), (",noise,", ",chords,")):
        lines = (data.folder / "tracks.csv").read_text().splitlines()
        lines[-1] = lines[-1].replace(before, after)
        table.write_text("\n".join(lines))
        with pytest.raises(DataError, match="is not a rendition of it"):
            Dataset.load(folder)


@pytest.mark.parametrize(
    ("folder", "text"),
    [
        ("nowhere", "nowhere is not a folder"),
        ("empty", "no files genre/track"),
        ("broken", "no usable track in audio files"),
    ],
)
def test_what_is_wrong_is_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    folder: str,
    text: str,
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken" / "chords").mkdir(parents=True)
    (tmp_path / "broken" / "chords" / "chords.00099.wav").write_bytes(b"RIFF")
    monkeypatch.chdir(tmp_path)
    assert main(["data", folder, "--renditions"]) == 2
    assert text in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.glob("data/*/dataset.json"))


def test_a_finished_dataset_takes_none(data: Dataset, tmp_path: Path) -> None:
    assert data.folder is not None
    with pytest.raises(DataError, match="renditions can't be added"):
        made(data.folder, tmp_path)
