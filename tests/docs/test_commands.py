"""The pages are true: their commands work, and answer as shown."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

import pytest
import soundfile

from tests.docs.checkout import Checkout, checkout
from tests.docs.pages import PAGES, RUNS, SHOWN, blocks, text_of
from tests.docs.shown import matches
from tests.media import by_name, encode, music
from tests.standin import StandIn, Video
from tests.train import synthetic

#: What no test can do, and why: all of it.
NOT_RUN = {
    "it asks the package index": 2,
    "it asks the registry": 1,
    "it asks two package registries": 1,
    "it installs system packages": 2,
    "it needs a GPU": 1,
    "it needs a cluster; they check every object and run a server with these settings": 1,
    "it needs a cluster; they check every object and run its parts": 1,
    "it needs a container engine; they run the image's steps without one": 1,
    "it takes a minute of a machine that does nothing else": 1,
    "it takes minutes, and they run its parts": 1,
}
# Training is done at its quickest.
_TRAINS = re.compile(r"(make (?:train|folds) .*?)(?: OPTIONS=\"(.*)\")?")
_QUICK = "--epochs 2 --clips-per-track 2 --batch 4"
_LINK = re.compile(r"(?:watch\?v=|youtu\.be/)([\w-]{11})")


@pytest.mark.parametrize(
    ("shown", "real", "same"),
    [
        ('{"a": 81.2, …}', '{"a":81.5,"b":2}', True),
        ('{"a": 81.2, …}', '{"a":83.5,"b":2}', False),
        ('{"a": "…"}', '{"a":"xyz"}', True),
        ('{"a": "…"}', '{"b":"xyz"}', False),
        ("rock", "jazz", False),
    ],
)
def test_the_comparison_can_fail(shown, real, same):
    assert matches(shown, real) == same


def test_hardly_anything_is_left_out():
    reasons = sorted(block.not_run for page in PAGES for block in blocks(page) if block.not_run)
    assert {reason: len(list(of)) for reason, of in groupby(reasons)} == NOT_RUN


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_block_is_run_or_shows_something(page):
    for block in blocks(page):
        assert block.not_run or block.language in (*RUNS, *SHOWN), block.text


# One of them trains.
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "page", [p for p in PAGES if any(b.language in RUNS for b in blocks(p))], ids=str
)
def test_commands_answer_as_shown(page: Path, standin: StandIn, tmp_path: Path) -> None:
    standin.reset()
    media = {140: encode(music(20.0), by_name("m4a-index-first"))}
    for video in set(_LINK.findall(text_of(page))):
        standin.add(Video(video, media, length=20))
    with checkout(tmp_path / "topgenre", **standin.env()) as place:
        _write_what_readers_have(place.folder)
        for block in blocks(page):
            if block.not_run:
                continue
            if block.language == "console":
                assert block.commands, block.text
                for command, expected in block.commands:
                    _check(place, command, expected)
        _check_python(place, [block.text for block in blocks(page) if block.language == "pycon"])
    assert standin.refused == []


def _write_what_readers_have(folder: Path) -> None:
    """Write a folder of music by genre, and who its artists are."""
    rows = ["track,artist"]
    for genre in synthetic.GENRES:
        (folder / "music" / genre).mkdir(parents=True)
        for seed, (suffix, rate) in enumerate(synthetic.FORMS):
            path = folder / "music" / genre / f"{genre}.{seed:05d}.{suffix}"
            soundfile.write(path, synthetic.sound(genre, seed, rate), rate)
            rows.append(f"{path.stem},{genre} {seed}")
    (folder / "artists.csv").write_text("\n".join(rows) + "\n")


def _check(place: Checkout, command: str, expected: str) -> None:
    if trains := _TRAINS.fullmatch(command):
        command = f'{trains[1]} OPTIONS="{trains[2] or ""} {_QUICK}"'
    done = place.run(command)
    said = f"$ {command}\n{expected}\n--- printed:\n{done.stdout}\n--- errors:\n{done.stderr}"
    assert matches(expected, done.stdout), said
    assert done.returncode == 0, said


def _check_python(place: Checkout, examples: list[str]) -> None:
    if not examples:
        return
    path = place.folder / "build" / "examples.txt"
    path.write_text("\n".join(examples))
    done = place.run(f".venv/bin/python -m doctest -o ELLIPSIS {path}")
    assert done.returncode == 0, done.stdout + done.stderr
