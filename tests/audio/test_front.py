"""What stands in front of audio, is damaged in the middle, or comes one after the other."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile

from serve.audio.decode import Complete, decode
from serve.audio.ogg import OggLinks
from serve.errors import Undecodable
from tests.media import Bytes, Encoding, by_name, encode, music

RATE = 22_050
TAG = b"ID3\x04\0\0" + bytes((0, 0, 2, 10)) + bytes(266)
FOOTED = b"ID3\x04\0\x10" + bytes((0, 0, 0, 5)) + bytes(5) + b"3DI\x04\0\x10" + bytes((0, 0, 0, 5))
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: audio/ogg\r\n\r\n"


def decoded(content: bytes) -> np.ndarray:
    """By parts as it arrives; what has all arrived comes out the same."""
    arriving = np.concatenate(list(decode(Bytes(content), RATE)))
    np.testing.assert_array_equal(np.concatenate(list(decode(Complete(content), RATE))), arriving)
    return arriving


@pytest.mark.parametrize(
    ("front", "name"),
    [
        (TAG, "wav-s16"),
        (TAG, "flac"),
        (TAG, "vorbis"),
        (TAG + FOOTED, "aiff"),
        (TAG, "mp3"),
        (TAG, "m4a-index-last"),
        (bytes(5000), "flac"),
        (bytes(9), "opus-ogg"),
        (HEAD, "vorbis"),
        (HEAD + TAG, "flac"),
    ],
)
def test_what_stands_in_front_is_passed(front: bytes, name: str) -> None:
    content = encode(music(2.0, by_name(name).rate), by_name(name))
    np.testing.assert_array_equal(decoded(front + content), decoded(content))


@pytest.mark.parametrize("content", [TAG, TAG[:50], bytes(70_000), HEAD, b"HTTP/", b"RIFF", b""])
def test_nothing_but_a_front_is_no_audio(content: bytes) -> None:
    with pytest.raises(Undecodable):
        decoded(content)


def extensible(bits: int, valid: int, samples: np.ndarray, before: bytes = b"") -> bytes:
    """A WAV whose samples fill `valid` of their containers' `bits`, from the top."""
    width = bits // 8
    guid = bytes.fromhex("0100000000001000800000aa00389b71")
    head = struct.pack("<HHIIHHHHI", 0xFFFE, 1, RATE, RATE * width, width, bits, 22, valid, 4)
    step = 1 << bits - valid
    whole = (np.round(samples * (2.0 ** (bits - 1) - 1) / step) * step).astype("<i8")
    data = whole.astype("<i8").view(np.uint8).reshape(-1, 8)[:, :width].tobytes()
    chunks = before + b"fmt " + struct.pack("<I", 40) + head + guid
    chunks += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


@pytest.mark.parametrize(
    ("bits", "valid"), [(32, 24), (32, 20), (32, 16), (24, 20), (24, 16), (16, 12), (32, 32)]
)
@pytest.mark.parametrize("before", [b"", b"junk" + struct.pack("<I", 31) + bytes(32)])
def test_samples_narrower_than_their_containers(bits: int, valid: int, before: bytes) -> None:
    content = extensible(bits, valid, music(1.0, RATE, 1)[0].astype(np.float64), before)
    expected, _ = soundfile.read(io.BytesIO(content), dtype="float32")
    np.testing.assert_allclose(decoded(content), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "subtype"), [("WAV", "NMS_ADPCM_16"), ("WAV", "G721_32"), ("AU", "G723_40")]
)
def test_what_would_be_heard_as_noise_is_refused(kind: str, subtype: str) -> None:
    file = io.BytesIO()
    soundfile.write(file, music(1.0, RATE, 1)[0], RATE, format=kind, subtype=subtype)
    with pytest.raises(Undecodable, match="can't be read"):
        decoded(file.getvalue())


def swapped(content: bytes) -> bytes:
    """An m4a, index first, with its chunks in the opposite order."""
    table = content.index(b"stco") + 8
    (count,) = struct.unpack_from(">I", content, table)
    starts = struct.unpack_from(f">{count}I", content, table + 4)
    ends = (*starts[1:], starts[0] + struct.unpack_from(">I", content, starts[0] - 8)[0] - 8)
    chunks = [content[start:end] for start, end in zip(starts, ends, strict=True)]
    moved, at = {}, starts[0]
    for number in reversed(range(count)):
        moved[number], at = at, at + len(chunks[number])
    index = struct.pack(f">{count}I", *(moved[number] for number in range(count)))
    head = content[: table + 4] + index + content[table + 4 + 4 * count : starts[0]]
    return head + b"".join(reversed(chunks)) + content[ends[-1] :]


def test_chunks_in_another_order() -> None:
    content = encode(music(8.0), by_name("m4a-index-first"))
    np.testing.assert_array_equal(decoded(swapped(content)), decoded(content))


def test_a_chain_whose_links_differ() -> None:
    kinds = [
        ("vorbis", 44_100, "stereo"),
        ("vorbis", 32_000, "stereo"),
        ("libopus", 48_000, "mono"),
    ]
    links = []
    for number, (codec, rate, layout) in enumerate(kinds):
        encoding = Encoding(codec, "ogg", codec, rate, layout)
        channels = 2 if layout == "stereo" else 1
        links.append(encode(music(2.0 + number, rate, channels, seed=number), encoding))
    content = b"".join(links)
    assert links_of(content) == links
    alone = np.concatenate([decoded(link) for link in links])
    np.testing.assert_array_equal(decoded(content), alone)


def links_of(content: bytes, size: int = 1000) -> list[bytes]:
    chain = OggLinks(io.BytesIO(content).read)
    found = []
    while True:
        found.append(b"".join(iter(lambda: chain.read(size), b"")))
        if not chain.advance():
            return found


@pytest.mark.parametrize("content", [b"", b"OggS", b"no Ogg at all", b"OggS" + bytes(40)])
def test_what_is_no_chain_is_one_piece(content: bytes) -> None:
    assert links_of(content) == [content]


def test_a_stream_that_comes_on_the_way() -> None:
    one = encode(music(3.0), by_name("mpeg-ts"))
    two = encode(music(3.0, 48_000, 6), Encoding("ts", "mpegts", "ac3", 48_000, "5.1"))
    assert len(decoded(one + two)) / RATE >= 3.0
