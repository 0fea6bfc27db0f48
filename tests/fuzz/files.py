"""Mutated audio files of every container."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache

from tests.fuzz.mutations import mutated
from tests.media import CHANNELS, ENCODINGS, Encoding, encode, music

# Containers that only FFmpeg's demuxers know; nobody is promised that they are read.
_RARE = (
    *(Encoding(name, name, "pcm_s16le", rate=22_050) for name in ("caf", "w64", "nut", "ircam")),
    *(Encoding(name, name, "mp2", rate=22_050) for name in ("vob", "wtv")),
    *(Encoding(name, name, "aac", rate=22_050) for name in ("mov", "flv", "latm", "3gp")),
    *(Encoding(name, name, name, rate=44_100) for name in ("tta", "sbc")),
    Encoding("avi", "avi", "libmp3lame"),
    Encoding("voc", "voc", "pcm_u8", rate=22_050),
    Encoding("sox", "sox", "pcm_s32le", rate=22_050),
    Encoding("adx", "adx", "adpcm_adx"),
    Encoding("eac3", "eac3", "eac3", rate=48_000),
    Encoding("rm", "rm", "ac3", rate=44_100),
)
BASES = {encoding.name: encoding for encoding in (*ENCODINGS, *_RARE)}
# Enough for an answer.
_SECONDS = 2.0


@cache
def base(name: str) -> bytes:
    """A whole file, the same in every process."""
    encoding = BASES[name]
    exact = replace(encoding, options=encoding.options | {"fflags": "+bitexact"})
    return encode(music(_SECONDS, exact.rate, CHANNELS[exact.layout]), exact)


def file(rng: random.Random) -> tuple[str, bytes]:
    """The name of its encoding, and a file; one of twenty goes on as another one does."""
    name, other = rng.choice([*BASES]), rng.choice([*BASES])
    content = base(name)
    if rng.random() < 0.05:
        content = content[: rng.randrange(len(content))] + base(other)[-rng.randrange(1, 50_000) :]
    return name, mutated(content, rng)
