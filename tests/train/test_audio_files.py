"""Folders of audio as people have them, and what is said of what is left out."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from serve.audio.frontend import FrontEnd
from tests.media import by_name, encode, music
from tests.train import synthetic
from train.__main__ import main
from train.data import audio_files
from train.data.dataset import Dataset
from train.data.source import Source, make
from train.data.spectrogram import read_mono
from train.data.tracks import Track
from train.data.warnings import unmatched, warnings_of
from train.data.writer import DatasetWriter
from train.errors import DataError

SUFFIXES = {
    **{"m4a-index-last": "M4A", "opus-webm": "webm", "opus-ogg": "Opus", "aiff": "aiff"},
    **{"wma": "wma", "wavpack": "wv", "mpeg-ts": "ts"},
}


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_every_file_is_taken_or_named(tmp_path: Path) -> None:
    taken = ["pop/a.m4a", "pop/b.OPUS", "rock/c.Aiff", "rock/d.wma", "rock/e.webm", "rock/f.dts"]
    touch(tmp_path, *taken)
    left_out = {
        "top.mp3": "not in a genre's folder",
        ".trash/": "a hidden folder",
        "__MACOSX/": "a hidden folder",
        "pop/.ipynb_checkpoints/": "a hidden folder",
        "pop/._a.m4a": "a hidden file",
        "pop/a.mp3": "a second copy of a.m4a",
        "pop/cover.jpg": "not a kind of audio file: .jpg",
        "pop/cd 1/": "a folder inside a genre's folder, with 2 audio files",
        "pop/pipe.mp3": "not a regular file",
        "pop/gone.mp3": "a link to nothing",
        "pop/x\ufffd\ufffd.mp3": "its name is not UTF-8",
        "empty/": "a folder without usable audio files",
    }
    touch(tmp_path, ".trash/a.mp3", "__MACOSX/a.mp3", "pop/.ipynb_checkpoints/a.mp3")
    touch(tmp_path, "pop/cd 1/a.mp3", "pop/cd 1/more/b.mp3", "pop/cd 1/.c/c.mp3", "README.md")
    touch(tmp_path, "top.mp3", "pop/._a.m4a", "pop/a.mp3", "pop/cover.jpg", "pop/x\x1b\udcff.mp3")
    os.mkfifo(tmp_path / "pop" / "pipe.mp3")
    (tmp_path / "pop" / "gone.mp3").symlink_to("nowhere")
    (tmp_path / "empty").mkdir()
    found = audio_files.find(tmp_path)
    assert [file.path.relative_to(tmp_path).as_posix() for file in found.files] == taken
    assert {entry.name: entry.reason for entry in found.skipped} == left_out


def test_a_deeper_layout_hears_what_is_wanted(tmp_path: Path) -> None:
    touch(tmp_path, "rock/The Band/one.mp3", "jazz/Some Trio/album/two.flac", "jazz/notes.txt")
    with pytest.raises(DataError, match=r"as jazz/Some Trio/album/two\.flac.*: jazz/two\.flac$"):
        audio_files.find(tmp_path)


def test_tracks_without_a_genre_hear_that(tmp_path: Path) -> None:
    touch(tmp_path, "one.mp3", "two.flac")
    with pytest.raises(DataError, match="its audio files are not in a genre's folder"):
        audio_files.find(tmp_path)


@pytest.mark.parametrize("kind", SUFFIXES)
def test_what_the_server_reads_is_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"song.{SUFFIXES[kind]}"
    form = by_name(kind)
    path.write_bytes(encode(music(3.0, form.rate), form))
    samples, rate = read_mono(path, 22_050)
    assert len(samples) == pytest.approx(3.0 * 22_050, rel=0.05)
    assert rate == form.rate
    assert np.abs(samples).max() > 0.01


def test_silence_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "music" / "rock"
    folder.mkdir(parents=True)
    for name, level in {"a": 0.0, "b": 5e-5, "c": 0.5}.items():
        sound = level * np.sign(synthetic.sound("noise", 1, 22_050))
        soundfile.write(folder / f"{name}.wav", sound, 22_050, "FLOAT")
    data = make(Source(folder.parent, tmp_path / "cache"), lambda done, total: None)
    assert {entry.name: entry.reason for entry in data.skipped} == {
        "rock/a.wav": "silent",
        "rock/b.wav": "silent",
    }


def dataset(folder: Path, *tracks: str, split_by: str = "as given") -> Dataset:
    front_end = FrontEnd()
    with DatasetWriter(folder, front_end, "made up", split_by) as writer:
        for number, track in enumerate(tracks):
            genre, _, split = track.partition(" ")
            mel_db = np.zeros((front_end.frames, front_end.n_mels), np.float32)
            writer.add(Track(f"{genre}/{number}", genre, split), mel_db)
        return writer.finish()


@pytest.mark.parametrize(
    ("tracks", "said"),
    [
        (("a train", "a valid", "b train", "b valid"), []),
        (("a train", "a valid"), ["There is only one genre, 'a': nothing to tell it apart from."]),
        (
            ("BLUES train", "BLUES valid", "blues train", "blues valid"),
            ["'BLUES' and 'blues' are treated as different genres."],
        ),
        (("a train", "a valid", "b train"), ["The genre 'b' has only one track."]),
        (
            ("a train", "a valid", "b train", "b train", "c none", "c none"),
            [
                "The genre 'b' has no track in valid.",
                "The genre 'c' has no track in train and valid.",
            ],
        ),
    ],
)
def test_what_is_probably_not_meant_is_said(
    tmp_path: Path, tracks: tuple[str, ...], said: list[str]
) -> None:
    assert list(warnings_of(dataset(tmp_path, *tracks))) == said


def test_no_split_is_no_lack_of_one(tmp_path: Path) -> None:
    data = dataset(tmp_path, "a none", "a none", "b none", split_by="none")
    assert list(warnings_of(data)) == ["The genre 'b' has only one track."]


def test_names_in_no_folder_are_told(tmp_path: Path) -> None:
    data = dataset(tmp_path, "a train", "a valid")
    (said,) = unmatched(data, Path("table.csv"), ["a/0", "0", "1"])
    assert said == "2 of 3 tracks that table.csv names are not in the data, such as '0'."
    assert not list(unmatched(data, Path("table.csv"), ["a/0"]))


def test_no_name_is_markup_or_commands_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    touch(tmp_path, "rock [live]/[bold]\x1b[31m.txt", "rock [live]/[deep]/[i].mp3")
    path = tmp_path / "rock [live]" / "a.wav"
    soundfile.write(path, synthetic.sound("noise", 1, 22_050), 22_050)
    assert main(["data", str(tmp_path), "--cache", str(tmp_path / ".cache")]) == 0
    said = capsys.readouterr().err
    assert "skipped rock [live]/[bold]\ufffd[31m.txt: not a kind of audio file: .txt" in said
    assert "warning: The genre 'rock [live]' has only one track." in said
    assert "rock [live] │ 1" in said
    path.unlink()
    assert main(["data", str(tmp_path), "--cache", str(tmp_path / ".cache")]) == 2
    assert "as rock [live]/[deep]/[i].mp3" in capsys.readouterr().err
