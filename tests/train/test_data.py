from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from serve.audio.frontend import FrontEnd
from serve.audio.mel import MelSpectrogram
from tests.train import synthetic
from train.data.dataset import Dataset, power, relative_db
from train.data.plan import Prepared
from train.data.source import Source, prepare
from train.data.spectrogram import TrackSpectrogram, read_mono
from train.errors import DataError


def make(folder: Path, cache: Path, splits: Path | None = None) -> Prepared:
    return prepare(Source(folder, cache, FrontEnd(), splits), lambda done, total: None)


def test_a_folder_of_every_kind_of_file(gtzan_folder: Path, lists: Path, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    source = Source(gtzan_folder, tmp_path, FrontEnd(), lists)
    prepared = prepare(source, lambda done, total: steps.append((done, total)))
    data = prepared.data
    assert prepared.warning == ""
    assert data.genres == synthetic.GENRES
    assert len(data.of("train")) == 9
    assert len(data.of("valid")) == 6
    assert {t.source_hz for t in data.tracks} == {16_000, 22_050, 44_100}
    assert isinstance(data.mel_db, np.memmap)
    assert steps[-1] == (17, 17)
    reasons = {entry.name: entry.reason for entry in data.skipped}
    assert set(reasons) == {f"noise/{n}" for n in NOT_USED}
    assert "hidden" in reasons["noise/._noise.00000.wav"]
    assert "unreadable" in reasons["noise/noise.00054.wav"]
    assert "shorter than a clip" in reasons["noise/noise.00099.wav"]
    assert reasons["noise/notes.txt"] == "not a kind of audio file: .txt"
    assert make(gtzan_folder, tmp_path, lists).data.skipped == data.skipped, "kept, not made again"


NOT_USED = ("._noise.00000.wav", "noise.00054.wav", "noise.00099.wav", "notes.txt")


def test_without_a_split_chance_decides_and_says_so(gtzan_folder: Path, tmp_path: Path) -> None:
    prepared = make(gtzan_folder, tmp_path)
    assert "artists are on both sides" in prepared.warning
    assert prepared.data.split_by == "by chance"
    assert {track.genre for track in prepared.data.of("train")} == set(synthetic.GENRES)
    assert 2 <= len(prepared.data.of("valid")) <= 3, "one drawn may be unreadable"


def test_a_finished_dataset_is_taken_as_it_is(dataset_folder: Path, tmp_path: Path) -> None:
    data = make(dataset_folder, tmp_path / "cache").data
    assert len(data.of("train")) == len(data.of("valid")) == 6
    track = data.of("valid")[0]
    expected = np.load(dataset_folder / "mel_db.npy")[track.start : track.start + 48]
    assert expected.max() == 0.0
    np.testing.assert_array_equal(data.clips(track).reshape(48, 128), expected)
    again = Dataset.load(dataset_folder)
    assert again.digest == data.digest
    given = tmp_path / "other.csv"
    given.write_text("track,split\nchords.00000,train\nnoise.00000,valid\n")
    other = make(dataset_folder, tmp_path / "cache", given).data
    assert len(other.of("train")) == 1
    assert other.file_digest == data.digest
    assert other.digest != data.digest
    assert not (tmp_path / "cache").exists(), "nothing is made"


def break_mel(folder: Path) -> None:
    path = folder / "mel_db.npy"
    path.write_bytes(path.read_bytes()[:1000])


def wrong_bands(folder: Path) -> None:
    np.save(folder / "mel_db.npy", np.zeros((12 * 48, 64), np.float16))


def too_few_frames(folder: Path) -> None:
    np.save(folder / "mel_db.npy", np.zeros((12 * 48 - 1, 128), np.float16))


def no_table(folder: Path) -> None:
    (folder / "tracks.csv").unlink()


def empty_table(folder: Path) -> None:
    table = folder / "tracks.csv"
    table.write_text(table.read_text().splitlines()[0] + "\n")


def unknown_split(folder: Path) -> None:
    table = folder / "tracks.csv"
    table.write_text(table.read_text().replace("train", "tarin"))


def no_column(folder: Path) -> None:
    table = folder / "tracks.csv"
    table.write_text(table.read_text().replace("genre", "style", 1))


def wrong_genres(folder: Path) -> None:
    about = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**about, "genres": ["chords"]}))


def empty_about(folder: Path) -> None:
    (folder / "dataset.json").write_text("{}")


def nothing(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (break_mel, "is broken"),
        (wrong_bands, "not float16"),
        (too_few_frames, "pulses.00003: its frames don't lie in mel_db"),
        (no_table, "has no tracks.csv"),
        (empty_table, "no track in its split 'train'"),
        (unknown_split, "'tarin' is not a split"),
        (no_column, "is broken: 'genre'"),
        (wrong_genres, "is not in the list"),
        (empty_about, "is broken"),
        (nothing, "no files genre/track"),
    ],
)
def test_broken_data_is_named(
    dataset_folder: Path, tmp_path: Path, spoil: Callable[[Path], None], text: str
) -> None:
    spoil(dataset_folder)
    with pytest.raises(DataError, match=text):
        make(dataset_folder, tmp_path / "cache").data.of("train")


def test_data_that_are_not_there_are_named(dataset_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a folder"):
        make(tmp_path / "missing", tmp_path / "cache")
    with pytest.raises(DataError, match="no track in its split 'test'"):
        make(dataset_folder, tmp_path / "cache").data.of("test")


def test_windows_of_a_track_are_clips_of_the_server(tmp_path: Path) -> None:
    front_end = FrontEnd()
    path = tmp_path / "a.wav"
    soundfile.write(path, synthetic.sound("pulses", 1, 22_050), 22_050)
    samples, rate = read_mono(path, 22_050)
    track = TrackSpectrogram(front_end)(samples)
    assert rate == 22_050
    assert len(track) == 1 + (len(samples) - front_end.n_fft) // front_end.hop_length
    for frame in (0, 7, len(track) - front_end.frames):
        start = frame * front_end.hop_length
        clip = np.zeros((1, front_end.clip_samples), np.float32)
        part = samples[start : start + front_end.clip_samples]
        clip[0, : len(part)] = part
        expected = MelSpectrogram(front_end)(clip)[0]
        np.testing.assert_allclose(
            track[frame : frame + front_end.frames], expected, rtol=1e-4, atol=1e-7
        )


def test_decibels_and_back() -> None:
    mel = np.array([[1e-30, 1e-3], [2.0, 0.0]], np.float32)
    decibels = relative_db(mel)
    assert decibels.max() == 0.0
    assert decibels.min() == -127.5
    np.testing.assert_allclose(power(decibels)[[0, 1], [1, 0]], [5e-4, 1.0], rtol=1e-5)
    assert (relative_db(np.zeros((2, 2), np.float32)) == -127.5).all()


def test_audio_takes_another_front_end_and_a_dataset_keeps_its_own(
    gtzan_folder: Path, lists: Path, tmp_path: Path
) -> None:
    fine = FrontEnd(n_fft=1024, hop_length=512, n_mels=64)
    data = prepare(Source(gtzan_folder, tmp_path, fine, lists), lambda done, total: None).data
    assert data.front_end == fine
    assert data.clips(data.tracks[0]).shape[1:] == (59, 64)
    folder = next(tmp_path.iterdir())
    kept = prepare(Source(folder, tmp_path), lambda done, total: None).data
    assert kept.front_end == fine
    with pytest.raises(DataError, match="finished dataset, made with n_fft 1024, hop_length 512"):
        prepare(Source(folder, tmp_path, FrontEnd()), lambda done, total: None)
