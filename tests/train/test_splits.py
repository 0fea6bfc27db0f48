from __future__ import annotations

from pathlib import Path

import pytest

from train import splits
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
    ("files", "text"),
    [
        ({}, "no train.txt and valid.txt"),
        ({"train.txt": "a.1"}, "no train.txt and valid.txt"),
        ({"train.txt": "a.1", "valid.txt": "a/a.1.wav"}, "in both"),
        ({"t.csv": "track,kind\na.1,train\n"}, "no column"),
        ({"t.csv": "track,split\na.1,trian\n"}, "unknown splits: trian"),
    ],
)
def test_broken_splits_are_named(tmp_path: Path, files: dict[str, str], text: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)
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
