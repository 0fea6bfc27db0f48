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
        (HEAD.replace(b"\r", b"").replace(b"HTTP/1.1", b"ICY"), "opus-ogg"),
        (bytes(4096), "m4a-index-first"),
        (bytes(70_001), "wav-s16"),
        (TAG + bytes(3), "opus-webm"),
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


def chunk(name: bytes, content: bytes, order: str = "<") -> bytes:
    return name + struct.pack(f"{order}I", len(content)) + content


def w64_chunk(name: bytes, content: bytes) -> bytes:
    guid = bytes.fromhex("f3acd3118cd100c04f8edb8a")
    return name + guid + struct.pack("<q", 24 + len(content)) + content


PEAK = 2.0**31 - 1
SONG = music(1.0, RATE, 1)[0].astype(np.float64)
# 24 bits that count, at the top of 32.
NARROW = np.round(SONG * PEAK / 256).astype("<i4") * 256
EXTENSIBLE = extensible(32, 24, SONG)[20:60]
PLAIN = struct.pack("<HHIIHH", 1, 1, RATE, 4 * RATE, 4, 24)
DATA = NARROW.tobytes()
DESCRIBED = struct.pack(">d4sIIIII", RATE, b"lpcm", 2, 4, 1, 1, 24)
RF64 = chunk(b"ds64", struct.pack("<QQQI", len(DATA) + 96, len(DATA), len(SONG), 0))
HEADED = {
    "WAV that is not extensible": b"RIFF"
    + struct.pack("<I", len(DATA) + 36)
    + b"WAVE"
    + chunk(b"fmt ", PLAIN)
    + chunk(b"data", DATA),
    "RF64": b"RF64\xff\xff\xff\xffWAVE"
    + RF64
    + chunk(b"fmt ", EXTENSIBLE)
    + b"data\xff\xff\xff\xff"
    + DATA,
    "BW64": b"BW64\xff\xff\xff\xffWAVE"
    + RF64
    + chunk(b"fmt ", EXTENSIBLE)
    + b"data\xff\xff\xff\xff"
    + DATA,
    "Wave64": bytes.fromhex("726966662e91cf11a5d628db04c10000")
    + struct.pack("<q", len(DATA) + 128)
    + b"wave"
    + bytes.fromhex("f3acd3118cd100c04f8edb8a")
    + w64_chunk(b"fmt ", EXTENSIBLE)
    + w64_chunk(b"data", DATA),
    "CAF": b"caff\0\1\0\0desc"
    + struct.pack(">q", 32)
    + DESCRIBED
    + b"data"
    + struct.pack(">q", len(DATA) + 4)
    + bytes(4)
    + DATA,
}


@pytest.mark.parametrize("name", HEADED)
def test_samples_narrower_than_their_containers_in_other_files(name: str) -> None:
    np.testing.assert_allclose(decoded(HEADED[name]), NARROW / 2.0**31, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "subtype", "endian"),
    [
        *(("WAV", of, "BIG") for of in ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW")),
        *(("AIFF", of, "LITTLE") for of in ("PCM_16", "PCM_24", "PCM_32")),
        *((of, "PCM_16", "BIG") for of in ("PVF", "NIST", "IRCAM", "AVR", "PAF", "CAF", "SVX")),
        *((of, "PCM_16", "LITTLE") for of in ("NIST", "IRCAM", "PAF", "W64", "RF64", "VOC")),
    ],
)
def test_what_libsndfile_writes_is_read_as_it_reads_it(
    kind: str, subtype: str, endian: str
) -> None:
    file = io.BytesIO()
    soundfile.write(file, SONG, RATE, format=kind, subtype=subtype, endian=endian)
    expected, _ = soundfile.read(io.BytesIO(file.getvalue()), dtype="float32")
    np.testing.assert_allclose(decoded(file.getvalue()), expected, atol=1e-6)


def test_floats_that_are_none_are_no_warning() -> None:
    """Warnings are errors here."""
    noise = np.random.default_rng(3).bytes(4 * RATE)
    assert np.isfinite(
        decoded(
            chunk(
                b"RIFF",
                b"WAVE"
                + chunk(b"fmt ", struct.pack("<HHIIHH", 3, 1, RATE, 4 * RATE, 4, 32))
                + chunk(b"data", noise),
            )
        )
    ).all()


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


def test_fragments_after_another_index_are_heard() -> None:
    """As recorders leave them that are stopped and go on; FFmpeg finds them where it can seek."""
    options = {"movflags": "+frag_keyframe+empty_moov", "frag_duration": "500000"}
    content = encode(music(4.0), Encoding("", "mp4", "aac", options=options))
    assert len(decoded(2 * content)) / RATE > 7.5


def test_a_stream_that_comes_on_the_way() -> None:
    one = encode(music(3.0), by_name("mpeg-ts"))
    two = encode(music(3.0, 48_000, 6), Encoding("ts", "mpegts", "ac3", 48_000, "5.1"))
    assert len(decoded(one + two)) / RATE >= 3.0
