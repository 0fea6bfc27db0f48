"""Commands of `classify`, files for them, and what they print."""

import json
import sys
from pathlib import Path

from tests.media import by_name, encode, music

DATA = Path(__file__).parents[1] / "data"
SONG = DATA / "song.mp3"
ROOT = Path(__file__).parents[2]
ID = "dQw4w9WgXcQ"


def command(*arguments):
    return [sys.executable, "-m", "serve", "classify", *map(str, arguments)]


def distinct(folder, count, seconds=3.0):
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(count):
        path = folder / f"{n:02}.flac"
        path.write_bytes(encode(music(seconds, seed=n), by_name("flac")))
    return folder


def records(text):
    return [json.loads(line) for line in text.splitlines()]
