"""What is uploaded in a soak: real encodes with their right answers, and what is no such thing."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

from serve.notebook import classify, stop
from serve.settings import PREFIX
from tests.corpus import damage, strange
from tests.corpus.case import Case
from tests.media import by_name, encode, music

SONG = Path(__file__).parents[1] / "data" / "song.mp3"
#: Good tracks: their encoding in `tests.media`, and their seconds.
ENCODED = {
    "m4a-index-first": 20.0,
    "m4a-index-last": 15.0,
    "opus-webm": 20.0,
    "wav-s16": 6.0,
    "flac": 12.0,
    "vorbis": 10.0,
}
#: The one of most bytes.
LONGEST = "wav-s16"

Answer = Mapping[str, Any]


def good_tracks() -> dict[str, bytes]:
    """Real audio in several containers, by name."""
    tracks = {"mp3": SONG.read_bytes()}
    for seed, (name, seconds) in enumerate(ENCODED.items()):
        encoding = by_name(name)
        rate = encoding.rate or 44_100
        tracks[name] = encode(music(seconds, rate, seed=seed), encoding)
    return tracks


def references(tracks: Mapping[str, bytes]) -> dict[str, Answer]:
    """The right answer to each track: another pipeline's, in this process and in peace."""
    stop()  # one that runs has settings of its own
    with patch.dict(os.environ, {f"{PREFIX}CACHE": "off"}):
        try:
            return {name: classify(content).to_dict() for name, content in tracks.items()}
        finally:
            stop()


def corpus() -> tuple[Case, ...]:
    """The hostile files of the corpus's own tests."""
    return (*damage.cases(), *strange.cases())


def again(name: str, content: bytes, mark: int) -> bytes:
    """The same audio as another file, which no cache can know; as it is where that can't be."""
    tag = mark.to_bytes(8, "big")
    match name.partition("-")[0]:
        case "mp3":  # a tag of ID3v1
            return content + b"TAG" + tag.hex().encode().ljust(125, b"\0")
        case "m4a":  # an empty box
            return content + (16).to_bytes(4, "big") + b"free" + tag
        case "wav":  # past the end that its head names
            return content + b"junk" + len(tag).to_bytes(4, "little") + tag
        case _:
            return content


def spoiled(tracks: Mapping[str, bytes], rng: random.Random) -> bytes:
    """A good track that something has happened to."""
    content = bytearray(tracks[rng.choice(sorted(tracks))])
    match rng.randrange(4):
        case 0:
            del content[rng.randrange(len(content)) :]
        case 1:
            for _ in range(rng.randint(1, 200)):
                content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        case 2:
            del content[: rng.randrange(1, len(content))]
        case _:
            at = rng.randrange(len(content))
            content[at : at + 4096] = rng.randbytes(4096)
    return bytes(content)
