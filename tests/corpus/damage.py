"""Real encodes, cut short, with flipped bits, and with words that can't be true."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from functools import cache, partial
from operator import mul

from tests.corpus.case import ANY, Case
from tests.media import CHANNELS, by_name, encode, music

BASES = (
    *("wav-s16", "wav-f32", "aiff", "au", "flac", "alac", "wavpack", "mp3", "vorbis", "opus-ogg"),
    *("opus-webm", "m4a-index-last", "m4a-index-first", "m4a-fragmented", "aac-adts", "wma"),
    "mpeg-ts",
)
STAGES = (0.0, 0.001, 0.01, 0.1, 0.5, 0.9, 0.999)


@cache
def base(name: str, seconds: float = 3.0) -> bytes:
    """A short piece of music in one of the tests' encodings."""
    encoding = by_name(name)
    return encode(music(seconds, encoding.rate, CHANNELS[encoding.layout]), encoding)


def cases() -> Iterator[Case]:
    for name in BASES:
        yield Case(f"whole {name}", partial(base, name), {"ok"})
        for stage in STAGES:
            yield Case(f"{name} cut at {stage}", partial(_cut, name, stage), ANY)
        for seed, share in enumerate((1e-5, 1e-3, 0.05)):
            yield Case(
                f"{name} with {share:g} of its bits flipped",
                partial(flipped, base(name), share, seed),
                ANY,
            )
        yield Case(f"{name} with a broken head", partial(_broken_head, name), ANY)
        yield Case(f"{name} twice", partial(mul, base(name), 2), {"ok"})
        yield Case(f"{name} with its middle lost", partial(_without_middle, name), ANY)
    for name in ("m4a-index-first", "m4a-fragmented"):
        for box in (b"stts", b"stsc", b"stsz", b"stco", b"trun", b"elst", b"ctts", b"sidx"):
            if box in base(name):
                for count in (0, 0x7FFFFFFF, 0xFFFFFFFF):
                    yield Case(
                        f"{name} with {count:#x} entries in {box.decode()}",
                        partial(_table, base(name), box, count),
                        ANY,
                    )
        for size in (0, 1, 7, 0xFFFFFFFF):
            yield Case(
                f"{name} whose index has {size} bytes",
                partial(_box_size, base(name), b"moov", size),
                ANY,
            )
    yield Case("mp4 boxes, one in the other", lambda: _nested_boxes(20_000), {"undecodable"})


def flipped(content: bytes, share: float, seed: int) -> bytes:
    """The content with this share of its bits the other way round, at least one."""
    rng, damaged = random.Random(seed), bytearray(content)
    for _ in range(max(1, round(8 * len(content) * share))):
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def _cut(name: str, stage: float) -> bytes:
    return base(name)[: int(len(base(name)) * stage)]


def _broken_head(name: str) -> bytes:
    return flipped(base(name)[:400], 0.02, 9) + base(name)[400:]


def _without_middle(name: str) -> bytes:
    third = len(base(name)) // 3
    return base(name)[:third] + base(name)[2 * third :]


def _table(content: bytes, box: bytes, count: int) -> bytes:
    at = content.index(box) + 8
    if box == b"stsz":
        at += 4
    return content[:at] + struct.pack(">I", count) + content[at + 4 :]


def _box_size(content: bytes, box: bytes, size: int) -> bytes:
    at = content.index(box) - 4
    return content[:at] + struct.pack(">I", size) + content[at + 4 :]


def _nested_boxes(depth: int) -> bytes:
    boxes = [struct.pack(">I4s", 8 * n, b"trak") for n in range(depth, 0, -1)]
    moov = struct.pack(">I4s", 8 * (depth + 1), b"moov")
    return struct.pack(">I4s4sI4s", 20, b"ftyp", b"isom", 0, b"isom") + moov + b"".join(boxes)
