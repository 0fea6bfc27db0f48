"""Files that were never meant to be heard, or to be heard out."""

from __future__ import annotations

import base64
import gzip
import io
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import av
import numpy as np

from tests.corpus.case import ANY, Case
from tests.corpus.damage import base
from tests.media import Encoding, by_name, encode, music

HOURS_S = 3 * 3600


def cases() -> Iterator[Case]:
    yield from _numbers()
    yield from _silences()
    yield from _streams()
    yield from _tags()
    yield from _other_files()


# numbers that can't be, or can hardly be


def wav(
    data: bytes,
    *,
    tag: int = 1,
    channels: int = 1,
    rate: int = 44_100,
    bits: int = 16,
    align: int | None = None,
    riff: int | None = None,
    announced: int | None = None,
) -> bytes:
    """A WAV file that says of itself what it is told to say."""
    align = channels * bits // 8 if align is None else align
    head = struct.pack(
        *("<4sIHHIIHH", b"fmt ", 16, tag, channels, rate),
        *((rate * align) & 0xFFFFFFFF, align & 0xFFFF, bits),
    )
    size = len(data) if announced is None else announced
    body = b"WAVE" + head + struct.pack("<4sI", b"data", size) + data
    return struct.pack("<4sI", b"RIFF", len(body) if riff is None else riff) + body


def floats(*values: float, kind: str = "<f4") -> bytes:
    """Ten seconds of mono floats at 8 kHz, in which these values recur."""
    tone = 0.3 * np.sin(np.arange(80_000) / 7)
    tone[:: 80_000 // 999] = np.resize(values, len(tone[:: 80_000 // 999]))
    with np.errstate(over="ignore"):
        return tone.astype(kind).tobytes()


def _numbers() -> Iterator[Case]:
    noise = np.random.default_rng(0).integers(-3000, 3000, 200_000, np.int16).tobytes()
    for rate in (0, 1, 50, 7999, 768_000, 3_000_000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
        yield Case(f"wav of {rate} Hz", partial(wav, noise, rate=rate), ANY)
    for channels in (0, 3, 17, 63, 64, 65, 255, 1024, 65535):
        yield Case(f"wav of {channels} channels", partial(wav, noise, channels=channels), ANY)
    for bits in (0, 1, 7, 12, 24, 64, 255, 65535):
        yield Case(f"wav of {bits} bits", partial(wav, noise, bits=bits, align=2), ANY)
    for align in (0, 1, 3, 65535):
        yield Case(f"wav aligned to {align}", partial(wav, noise, align=align), ANY)
    for tag in (0, 2, 0x11, 0x55, 0xFF, 0x160, 0x2000, 0xF1AC, 0xFFFE, 0xFFFF):
        yield Case(f"wav of the kind {tag:#x}", partial(wav, noise, tag=tag), ANY)
    for size in (0, 1, 0x7FFFFFFF, 0xFFFFFFFF):
        yield Case(f"wav that says {size} bytes", partial(wav, noise, announced=size), ANY)
        yield Case(f"RIFF that says {size} bytes", partial(wav, noise, riff=size), ANY)
    for values in ((np.nan,), (np.inf,), (-np.inf,), (np.nan, np.inf, -np.inf), (1e-40,)):
        yield Case(
            f"floats with {values}",
            partial(wav, floats(*values), tag=3, bits=32, rate=8000),
            {"ok"},
        )
    for loud in (1e3, 1e10, 1e20, 3e38):
        yield Case(
            f"floats of {loud:g}",
            partial(wav, floats(loud), tag=3, bits=32, rate=8000),
            {"ok"},
        )
    yield Case(
        "nothing but NaN",
        lambda: wav(np.full(80_000, np.nan, "<f4").tobytes(), tag=3, bits=32, rate=8000),
        {"silent"},
    )
    yield Case(
        "doubles that no float can hold",
        lambda: wav(floats(1e300, -1e300, kind="<f8"), tag=3, bits=64, rate=8000),
        {"ok"},
    )


# hours in kilobytes


def _silences() -> Iterator[Case]:
    yield Case("hours of silent flac", _silent_flac, {"too_long"})
    yield Case("hours of silent mp3", lambda: _mp3_frame() * (HOURS_S * 1000 // 72), {"too_long"})
    yield Case("hours of silent ogg", lambda: _chained() * (HOURS_S // 30), {"too_long"})
    yield Case("hours of silent m4a", _silent_m4a, ANY)
    yield Case("a little silence", lambda: wav(bytes(400_000)), {"silent"})


def _silent_flac() -> bytes:
    # The encoder is quicker than a test that lays frames end to end.
    encoding = Encoding("", "flac", "flac", rate=8000, layout="mono", sample_format="s16")
    return encode(np.zeros((1, 8000 * 1800), np.float32), encoding)


def _mp3_frame() -> bytes:
    """A frame of MPEG 2.5 at 8 kHz and 8 kbit/s: 72 ms in 72 bytes."""
    return b"\xff\xe3\x18\xc4" + bytes(68)


def _chained() -> bytes:
    encoding = by_name("opus-ogg")
    return encode(np.zeros((2, 30 * encoding.rate), np.float32), encoding)


def _silent_m4a() -> bytes:
    """Each of its samples is said to last a day."""
    content = base("m4a-index-first")
    at = content.index(b"stts") + 16
    return content[:at] + struct.pack(">I", 44_100 * 86_400 % (1 << 32)) + content[at + 4 :]


# more streams than one, and others than audio


def _streams() -> Iterator[Case]:
    first, second = base("opus-ogg"), base("vorbis")
    yield Case("chained ogg of two codecs", lambda: first + second + first, ANY)
    yield Case("chained ogg of one codec", lambda: first + first, {"ok"})
    yield Case("mp3, then flac", lambda: base("mp3") + base("flac"), {"ok"})
    yield Case("aac of two rates", _aac_of_two_rates, {"ok"})
    yield Case("video alone", lambda: movie(audio=0), {"undecodable"})
    yield Case("video with audio", lambda: movie(audio=1), {"ok"})
    yield Case("fifty streams of audio", lambda: movie(video=False, audio=50), {"ok"})
    for depth in (1, 3):
        yield Case(f"wav in wav, {depth} deep", partial(_nested_wav, depth), ANY)
    yield Case("mp4 in mp4", lambda: base("m4a-index-last")[:100] + base("m4a-index-last"), ANY)
    yield Case("mp3 in wav", lambda: wav(base("mp3"), tag=0x55, bits=0, align=1), ANY)
    yield Case("ogg in wav", lambda: wav(base("vorbis"), tag=0x6750, bits=0, align=1), ANY)


def movie(*, video: bool = True, audio: int = 1) -> bytes:
    """Three seconds of a picture and of music."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as out:
        pictures = out.add_stream("mpeg4", rate=5) if video else None
        if pictures:
            pictures.width = pictures.height = 64
            pictures.pix_fmt = "yuv420p"
        sounds = [out.add_stream("pcm_s16le", rate=8000, layout="mono") for _ in range(audio)]
        samples = (music(3, 8000, 1) * 30_000).astype(np.int16)
        for number in range(15 if pictures else 0):
            frame = av.VideoFrame(64, 64, "yuv420p")
            frame.pts = number
            out.mux(pictures.encode(frame))
        for sound in sounds:
            sounding = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            sounding.sample_rate = 8000
            out.mux(sound.encode(sounding))
        for stream in ([pictures] if pictures else []) + sounds:
            out.mux(stream.encode(None))
    return file.getvalue()


def _aac_of_two_rates() -> bytes:
    other = Encoding("", "adts", "aac", rate=22_050, layout="mono", bit_rate=64_000)
    return base("aac-adts") + encode(music(3.0, 22_050, 1), other)


def _nested_wav(depth: int) -> bytes:
    content = base("wav-s16")
    for _ in range(depth):
        content = wav(content)
    return content


# tags that are larger than the music


def _id3(size: int, body: bytes) -> bytes:
    syncsafe = bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\x00\x00" + syncsafe + body


def _picture(data: bytes) -> bytes:
    body = b"\x00image/png\x00\x03\x00" + data
    return b"APIC" + struct.pack(">I", len(body)) + b"\x00\x00" + body


def _vorbis_comment(text: bytes) -> bytes:
    said = struct.pack("<I", 4) + b"test" + struct.pack("<II", 1, len(text)) + text
    return b"\x04" + len(said).to_bytes(3, "big") + said


def _tags() -> Iterator[Case]:
    mp3, flac = base("mp3"), base("flac")
    large = 8 << 20
    text = b"TIT2" + struct.pack(">I", large) + b"\x00\x00" + b"\x00" + b"a" * (large - 1)
    picture = _picture(bytes(5 << 20))
    yield Case("mp3 behind a tag of 8 MB", lambda: _id3(len(text), text) + mp3, {"ok"})
    yield Case("mp3 with a picture", lambda: _id3(len(picture), picture) + mp3, ANY)
    yield Case("a picture and no mp3", lambda: _id3(len(picture), picture), {"undecodable"})
    yield Case("mp3 with a tag that never ends", lambda: _id3((1 << 28) - 1, b"") + mp3, ANY)
    yield Case("mp3 behind a thousand tags", lambda: _id3(10, bytes(10)) * 1000 + mp3, ANY)
    yield Case(
        "flac with a comment of 8 MB",
        lambda: flac[:42] + _vorbis_comment(b"TITLE=" + b"a" * large) + flac[42:],
        ANY,
    )
    yield Case(
        "flac with an endless block", lambda: flac[:42] + b"\x04\xff\xff\xff" + flac[42:], ANY
    )
    yield Case(
        "flac with a thousand blocks",
        lambda: flac[:42] + _vorbis_comment(b"A=b") * 1000 + flac[42:],
        ANY,
    )
    skips = base("opus-ogg").replace(b"OpusHead\x01\x02", b"OpusHead\x01\xff")
    yield Case("opus of 255 channels", lambda: skips, ANY)
    yield Case("webm with an endless element", _endless_element, ANY)


def _endless_element() -> bytes:
    content = base("opus-webm")
    at = content.index(b"\x16\x54\xae\x6b") + 4
    return content[:at] + b"\x01" + b"\xff" * 7 + content[at + 8 :]


# what is no audio


def _other_files() -> Iterator[Case]:
    png = base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
        "gg=="
    )
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("song.mp3", base("mp3"))
    picture = "<svg xmlns='http://www.w3.org/2000/svg'/>"
    none: dict[str, bytes] = {
        "nothing": b"",
        "one byte": b"R",
        "zeros": bytes(1 << 20),
        "ones": b"\xff" * (1 << 20),
        "noise": np.random.default_rng(1).bytes(1 << 20),
        "text": b"La la la\n" * 10_000,
        "HTML": b"<!doctype html><audio src=song.mp3 autoplay></audio>",
        "JSON": b'{"url": "song.mp3"}',
        "PNG": png,
        "PNG bomb": _png_bomb(),
        "JPEG": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(500) + b"\xff\xd9",
        "GIF": b"GIF89a\x01\x00\x01\x00\x00\xff\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x00;",
        "BMP": b"BM" + bytes(2000),
        "SVG": picture.encode(),
        "PDF": b"%PDF-1.7\n" + bytes(5000),
        "ELF": Path(sys.executable).resolve().read_bytes()[: 1 << 20],
        "zip": zipped.getvalue(),
        "gzip": gzip.compress(base("mp3")),
        "gzip bomb": gzip.compress(bytes(50 << 20)),
        "MIDI": b"MThd\x00\x00\x00\x06\x00\x01\x00\x01\x00\x60MTrk\x00\x00\x00\x04\x00\xff\x2f\x00",
        "heads alone": base("wav-s16")[:44],
        "subtitles": b"1\n00:00:00,000 --> 00:00:01,000\nLa\n",
    }
    for name, content in none.items():
        # Noise may hold what looks like a frame of something; an archive may hold an mp3 as it is.
        expected = ANY if name == "zip" else {"undecodable", "too_short"}
        yield Case(name, partial(bytes, content), expected)


def _png_bomb() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1 << 20))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
