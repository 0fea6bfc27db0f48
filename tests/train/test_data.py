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
from train.data import Source, prepare
from train.dataset import Dataset, power, relative_db
from train.errors import DataError
from train.plan import Prepared
from train.spectrogram import TrackSpectrogram, read_mono


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
    assert make(gtzan_folder, tmp_path, lists).data.skipped == data.skipped, "kept, not made again"


NOT_USED = ("._noise.00000.wav", "noise.00054.wav", "noise.00099.wav")


def test_without_a_split_chance_decides_and_says_so(gtzan_folder: Path, tmp_path: Path) -> None:
    prepared = make(gtzan_folder, tmp_path)
    assert "artists are on both sides" in prepared.warning
    assert prepared.data.split_by == "by chance"
    assert {track.genre for track in prepared.data.of("train")} == set(synthetic.GENRES)
    assert 2 <= len(prepared.data.of("valid")) <= 3, "one drawn may be unreadable"


def test_recovered_spectrograms(recovered_folder: Path, tmp_path: Path) -> None:
    data = make(recovered_folder, tmp_path / "cache").data
    assert len(data.of("train")) == len(data.of("valid")) == 6
    track = data.of("valid")[0]
    with np.load(recovered_folder / "mel.npz") as file:
        row = list(file["tracks"]).index(track.track)
        expected = file["mel_db"][row] / 2.0 - 127.5
    np.testing.assert_array_equal(data.clips(track).reshape(48, 128), expected)
    again = Dataset.load(next((tmp_path / "cache").iterdir()))
    assert again.digest == data.digest
    given = tmp_path / "other.csv"
    given.write_text("track,split\nchords.00000,train\nnoise.00000,valid\n")
    other = make(recovered_folder, tmp_path / "cache", given).data
    assert len(other.of("train")) == 1


def break_npz(folder: Path) -> None:
    path = folder / "mel.npz"
    path.write_bytes(path.read_bytes()[:1000])


def wrong_bands(folder: Path) -> None:
    np.savez(folder / "mel.npz", tracks=["a"], mel_db=np.zeros((1, 48, 64), np.uint8))


def too_few_names(folder: Path) -> None:
    np.savez(folder / "mel.npz", tracks=["a"], mel_db=np.zeros((2, 48, 128), np.uint8))


def no_table(folder: Path) -> None:
    (folder / "tracks.csv").unlink()


def empty_table(folder: Path) -> None:
    (folder / "tracks.csv").write_text("track,genre,split\n")


def unknown_split(folder: Path) -> None:
    (folder / "tracks.csv").write_text("track,genre,split\nchords.00000,chords,tarin\n")


def nothing(folder: Path) -> None:
    no_table(folder)
    (folder / "mel.npz").unlink()


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (break_npz, "can't be read"),
        (wrong_bands, "not uint8"),
        (too_few_names, "1 names don't fit"),
        (no_table, "tracks.csv can't be read"),
        (empty_table, "lacks the track"),
        (unknown_split, "unknown splits: tarin"),
        (nothing, "no files genre/track"),
    ],
)
def test_broken_data_is_named(
    recovered_folder: Path, tmp_path: Path, spoil: Callable[[Path], None], text: str
) -> None:
    spoil(recovered_folder)
    with pytest.raises(DataError, match=text):
        make(recovered_folder, tmp_path / "cache")


def test_a_broken_dataset_is_named(recovered_folder: Path, tmp_path: Path) -> None:
    make(recovered_folder, tmp_path / "cache")
    folder = next((tmp_path / "cache").iterdir())
    about = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**about, "genres": ["chords"]}))
    with pytest.raises(DataError, match="is not in the list"):
        Dataset.load(folder)
    (folder / "dataset.json").write_text("{}")
    with pytest.raises(DataError, match="is broken"):
        Dataset.load(folder)
    with pytest.raises(DataError, match="is no folder"):
        make(tmp_path / "missing", tmp_path / "cache")
    with pytest.raises(DataError, match="no track in its split 'test'"):
        make(recovered_folder, tmp_path / "other").data.of("test")


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


def test_recovered_spectrograms_refuse_another_front_end(
    recovered_folder: Path, tmp_path: Path
) -> None:
    source = Source(recovered_folder, tmp_path / "cache", FrontEnd(hop_length=512))
    with pytest.raises(DataError, match="can't be had with hop_length 512"):
        prepare(source, lambda done, total: None)
