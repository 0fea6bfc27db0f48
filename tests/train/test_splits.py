from __future__ import annotations

import os
from pathlib import Path

import pytest

from train.data import splits
from train.errors import DataError


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("blues.00001", "blues.00001"),
        ("blues.00001.wav", "blues.00001"),
        ("blues/blues.00001.au", "blues.00001"),
        ("genres_original/blues/blues.00001.WAV", "blues.00001"),
        ("blues\\blues.00001.mp3", "blues.00001"),
        ("rock/01 intro.flac", "rock/01 intro"),
        ("rock/a.b.ogg", "rock/a.b"),
        ("rock/one.M4A", "rock/one"),
        ("chanson/e\u0301te\u0301.mp3", "chanson/\u00e9t\u00e9"),
    ],
)
def test_a_track_has_one_name_in_every_form(path: str, name: str) -> None:
    assert splits.track_name(path) == name


def test_lists_and_table_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("a/a.1.wav\n\na/a.2.wav\n")
    (tmp_path / "valid.txt").write_text("a.3\n")
    (tmp_path / "t.csv").write_text("track,split\na.1,train\na.2,train\na.3,valid\n")
    expected = {"a.1": "train", "a.2": "train", "a.3": "valid"}
    assert splits.read(tmp_path) == splits.read(tmp_path / "t.csv") == expected


@pytest.mark.parametrize(
    "content",
    [
        "\ufefftrack,split\r\na.1,train\r\na.2,valid\r\n".encode(),
        "\ufeffTrack;Split\r\na/a.1.wav;Train\r\na.2;valid\r\n;;\r\n".encode(),
        b" Track , Artist , SPLIT \n a.1 , me , train \n a.2, , valid \n\n",
        b'"track"\t"split"\ra.1\ttrain\ra.2\tvalid\r',
        "Track\tSplit\r\na.1\ttrain\r\na.2\tvalid".encode("utf-16"),
    ],
)
def test_a_table_is_read_as_spreadsheets_write_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    assert splits.read(path) == {"a.1": "train", "a.2": "valid"}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_list_keeps_its_first_name(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "train.txt").write_bytes(" a.1 \r\na.2\r\n".encode(encoding))
    (tmp_path / "valid.txt").write_bytes("a.3".encode(encoding))
    assert splits.read(tmp_path) == {"a.1": "train", "a.2": "train", "a.3": "valid"}


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({}, "no train.txt and valid.txt"),
        ({"train.txt": "a.1"}, "no train.txt and valid.txt"),
        ({"train.txt": "a.1", "valid.txt": "a/a.1.wav"}, "in both"),
        ({"t.csv": "track,kind\na.1,train\n"}, "no column"),
        ({"t.csv": "track,split\na.1,trian\n"}, "unknown splits: trian"),
        ({"t.csv": "track,split\na.1,train\na.1,valid\n"}, "a.1 is in both train and valid"),
        ({"t.csv": "track;split\na.1;\udce9\n"}, "not UTF-8"),
        ({"t.csv": ""}, "no column 'track'"),
    ],
)
def test_broken_splits_are_named(tmp_path: Path, files: dict[str, str], text: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(os.fsencode(content))
    path = tmp_path / "t.csv" if "t.csv" in files else tmp_path
    with pytest.raises(DataError, match=text):
        splits.read(path)


def test_chance_keeps_genres_in_proportion_and_repeats() -> None:
    tracks = [(f"{genre}.{n}", genre) for genre in ("a", "b") for n in range(20)]
    found = splits.by_chance(tracks, seed=3)
    assert found == splits.by_chance(reversed(tracks), seed=3)
    assert found != splits.by_chance(tracks, seed=4)
    for genre in ("a", "b"):
        assert sum(found[f"{genre}.{n}"] == "valid" for n in range(20)) == 4
