"""What of a file can't be read is told, with how much it is."""

from __future__ import annotations

import io
import re
import struct
from fractions import Fraction
from typing import IO, cast

import av
import numpy as np
import pytest
import soundfile

from serve.answer import warnings_of
from serve.audio.frontend import FrontEnd
from serve.audio.mel import Float32
from tests.corpus.decoding import Decoding, decoding
from tests.media import CHANNELS, ENCODINGS, INDEX_FIRST, Encoding, by_name, encode, music

SECONDS = 4.0
# Half of a file tells nothing of the other half: no length is stated, or the index is gone.
UNTOLD = {
    *("flac-in-ogg", "alac", "vorbis", "opus-ogg", "m4a-index-last", "m4a-5.1", "aac-adts"),
    *("ac3", "mpeg-ts"),
}


@pytest.fixture(scope="module")
def decoder():
    with decoding() as decoder:
        yield decoder


def encoded(encoding: Encoding) -> bytes:
    return encode(music(SECONDS, encoding.rate, CHANNELS[encoding.layout]), encoding)


def lost_s(decoder: Decoding, content: bytes) -> float:
    assert decoder(content) == "ok"
    assert decoder.decoded
    return decoder.decoded.lost_s


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda encoding: encoding.name)
def test_of_a_whole_file_nothing_is_lost(decoder: Decoding, encoding: Encoding) -> None:
    content = encoded(encoding)
    assert lost_s(decoder, content) == 0
    if encoding.name not in UNTOLD:
        half = lost_s(decoder, content[: len(content) // 2])
        assert half + decoder.decoded.duration_s == pytest.approx(SECONDS, abs=0.15)
        assert half > 1


def written(kind: str, subtype: str, endian: str = "FILE") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, music(SECONDS).T, 44_100, format=kind, subtype=subtype, endian=endian)
    return file.getvalue()


def noted(content: bytes) -> bytes:
    """A WAV file with an editor's picture before its audio."""
    at = content.index(b"fmt ")
    return content[:at] + b"id3 " + struct.pack("<I", 70_001) + bytes(70_002) + content[at:]


MORE = {
    **{f"{kind} of 24 bits": written(kind, "PCM_24") for kind in ("WAVEX", "W64", "RF64", "CAF")},
    "A-law in RIFX": written("WAV", "ALAW", "BIG"),
    "little-endian AIFF": written("AIFF", "PCM_24", "LITTLE"),
    "little-endian AU": written("AU", "PCM_16", "LITTLE"),
    "AVR": written("AVR", "PCM_16"),
    "a picture in front": noted(written("WAV", "PCM_16")),
    **{
        kind: encode(music(SECONDS), Encoding("", kind, codec))
        for kind, codec in (("avi", "pcm_s16le"), ("sox", "pcm_s32le"), ("w64", "pcm_f32le"))
    },
}


@pytest.mark.parametrize("name", MORE)
def test_what_was_cut_off_is_told(decoder: Decoding, name: str) -> None:
    content = MORE[name] + b"LIST\3\0\0\0odd\0"
    assert lost_s(decoder, content) == 0
    assert decoder.decoded.duration_s == pytest.approx(SECONDS, abs=0.02)
    half = lost_s(decoder, content[: len(content) // 2])
    assert half > 1
    assert half + decoder.decoded.duration_s == pytest.approx(SECONDS, abs=0.02)


@pytest.mark.parametrize(
    "name", ["flac", "flac-in-ogg", "wavpack", "mp3", "vorbis", "opus-ogg", "opus-webm", "wma",
             "m4a-index-first", "m4a-index-last", "m4a-fragmented"],
)  # fmt: skip
def test_a_hole_is_told(decoder: Decoding, name: str) -> None:
    content = encoded(by_name(name))
    begin, end = len(content) // 3, len(content) // 2
    lost = lost_s(decoder, content[:begin] + bytes(end - begin) + content[end:])
    assert lost > 0.5
    assert lost + decoder.decoded.duration_s == pytest.approx(SECONDS, abs=0.15)


def test_pages_that_are_missing_in_a_later_link_are_told(decoder: Decoding) -> None:
    first, second = encoded(by_name("opus-ogg")), encoded(by_name("vorbis"))
    pages = [found.start() for found in re.finditer(b"OggS", second)]
    shorter = second[: pages[4]] + second[pages[5] :]
    assert lost_s(decoder, first + second) == 0
    assert 0.3 < lost_s(decoder, first + shorter) < 3


def test_more_packets_than_a_few_may_be_broken(decoder: Decoding) -> None:
    """Even more than a thousand in a row are not the end."""
    encoding = Encoding("", "ipod", "aac", 96_000, "mono", options=INDEX_FIRST)
    content = encode(music(20.0, encoding.rate, 1), encoding)
    begin = content.index(b"mdat") + 4
    size = len(content) - begin
    broken = bytes(7 * size // 10)
    content = content[: begin + size // 10] + broken + content[begin + size // 10 + len(broken) :]
    assert lost_s(decoder, content) == pytest.approx(14, abs=1)
    assert decoder.decoded.duration_s == pytest.approx(6, abs=1)


# What writers to a pipe put there: nothing, all ones, or almost as much as there can be (SoX,
# GStreamer, and what leaves room for the head).
@pytest.mark.parametrize("size", [0, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FFF0000])
@pytest.mark.parametrize("name", ["wav-mulaw-8k", "wav-s16"])
def test_a_length_that_nobody_knew_when_it_was_written_is_no_loss(
    decoder: Decoding, name: str, size: int
) -> None:
    content = bytearray(encoded(by_name(name)))
    at = content.index(b"data") + 4
    content[at : at + 4] = size.to_bytes(4, "little")
    assert lost_s(decoder, bytes(content)) == 0
    assert decoder.decoded.duration_s == pytest.approx(SECONDS, abs=0.02)


@pytest.mark.parametrize("size", [-1, 0, 1 << 40])
@pytest.mark.parametrize(
    ("name", "chunk", "after", "form"),
    [
        ("CAF of 24 bits", b"data", 4, ">q"),
        ("W64 of 24 bits", b"data", 16, "<q"),
        ("RF64 of 24 bits", b"ds64", 16, "<q"),
    ],
)
def test_nor_is_it_in_files_with_large_sizes(
    decoder: Decoding, name: str, chunk: bytes, after: int, form: str, size: int
) -> None:
    content = bytearray(MORE[name])
    struct.pack_into(form, content, content.index(chunk) + after, size)
    assert decoder(bytes(content)) in ("ok", "undecodable")
    assert not (decoder.decoded and decoder.decoded.lost_s)


class Pipe:
    """A file that can't be gone back in."""

    def __init__(self) -> None:
        self.content = b""

    def write(self, block: bytes) -> int:
        self.content += bytes(block)
        return len(bytes(block))


@pytest.mark.parametrize(
    ("container", "codec", "options"),
    [
        ("wav", "pcm_s16le", {}),
        ("wav", "pcm_s16le", {"rf64": "always"}),
        ("w64", "pcm_s16le", {}),
        ("caf", "pcm_s16le", {}),
        ("aiff", "pcm_s16be", {}),
        ("au", "pcm_s16be", {}),
        ("avi", "pcm_s16le", {}),
        ("sox", "pcm_s32le", {}),
        ("flac", "flac", {}),
    ],
)
def test_what_was_written_to_a_pipe_is_whole(
    decoder: Decoding, container: str, codec: str, options: dict[str, str]
) -> None:
    pipe = Pipe()
    with av.open(cast(IO[bytes], pipe), "w", format=container, options=options) as out:
        stream = cast(av.AudioStream, out.add_stream(codec, rate=44_100))
        frame = av.AudioFrame.from_ndarray(music(SECONDS), format="fltp", layout="stereo")
        frame.sample_rate = 44_100
        for part in (frame, None):
            out.mux(stream.encode(part))
    assert lost_s(decoder, pipe.content) == 0
    assert decoder.decoded.duration_s == pytest.approx(SECONDS, abs=0.02)


def test_a_clock_that_does_not_begin_at_0_is_no_loss(decoder: Decoding) -> None:
    """As in what is cut out of a stream."""
    file = io.BytesIO()
    with av.open(file, "w", format="webm") as out:
        stream = out.add_stream("libopus", rate=48_000)
        frame = av.AudioFrame.from_ndarray(music(SECONDS, 48_000), format="fltp", layout="stereo")
        frame.sample_rate, frame.time_base = 48_000, Fraction(1, 48_000)
        frame.pts = 5 * 48_000
        for part in (frame, None):
            out.mux(stream.encode(part))
    content = file.getvalue()
    assert lost_s(decoder, content) == 0
    assert lost_s(decoder, content[: len(content) // 2]) == pytest.approx(SECONDS / 2, abs=0.5)


def test_an_aiff_that_sox_wrote_to_a_pipe_is_no_loss(decoder: Decoding) -> None:
    content = bytearray(encoded(by_name("aiff")))
    struct.pack_into(">I", content, content.index(b"COMM") + 10, 0x7F000000 // 4)
    assert lost_s(decoder, bytes(content)) == 0


# channels that cancel each other


@pytest.mark.parametrize(
    "name", ["wav-s16", "flac", "mp3", "vorbis", "opus-webm", "m4a-index-first", "m4a-index-last"]
)
def test_channels_that_cancel_are_heard(decoder: Decoding, name: str) -> None:
    encoding = by_name(name)
    left = music(SECONDS, encoding.rate, 1)[0]
    content = encode(np.stack([left, -left]), encoding)
    assert decoder(content) == "ok"
    assert decoder.decoded.cancelled_s == pytest.approx(decoder.decoded.duration_s)
    opposite = decoder.features
    assert decoder(encode(np.stack([left, left]), encoding)) == "ok"
    assert not decoder.decoded.cancelled_s
    same = decoder.features
    assert np.corrcoef(opposite.ravel(), same.ravel())[0, 1] > 0.95
    assert opposite.sum() == pytest.approx(same.sum(), rel=0.1)


@pytest.mark.parametrize("gain", [0.0, 0.003, 0.5])
def test_soft_music_is_not_taken_for_such(decoder: Decoding, gain: float) -> None:
    encoding = by_name("flac")
    code = decoder(encode(music(SECONDS, encoding.rate) * np.float32(gain), encoding))
    assert code == ("ok" if gain else "silent")
    assert not (decoder.decoded and decoder.decoded.cancelled_s)


def test_channels_that_cancel_in_a_track_of_parts(decoder: Decoding) -> None:
    encoding = Encoding("wav", "wav", "pcm_s16le", rate=32_000)
    left = music(90.0, encoding.rate, 1)[0]
    assert decoder(encode(np.stack([left, -left]), encoding)) == "ok"
    assert decoder.decoded.cancelled_s == decoder.decoded.duration_s == 90
    parted = decoder.features
    assert decoder(encode(left[None], Encoding("", "wav", "pcm_s16le", 32_000, "mono"))) == "ok"
    np.testing.assert_allclose(parted, decoder.features, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("last", [0.0, 1.0])
def test_channels_that_cancel_before_the_format_changes(decoder: Decoding, last: float) -> None:
    codecs = [by_name(name) for name in ("opus-ogg", "vorbis")]
    left = music(0.5, 48_000, 1, seed=3)[0]
    links = [encode(np.stack([left, -left]), codecs[n % 2]) for n in range(6)]
    end = encode(np.stack([left, left]) * np.float32(last), by_name("opus-ogg"))
    assert decoder(b"".join([*links, end])) == "ok"
    assert decoder.decoded.cancelled_s > 2


@pytest.mark.parametrize("seconds", [0.8, 0.95])
def test_of_a_short_vorbis_file_nothing_is_lost(decoder: Decoding, seconds: float) -> None:
    encoding = by_name("vorbis")
    assert lost_s(decoder, encode(music(seconds, encoding.rate), encoding)) == 0


RATE = 48_000
VOICE = music(6 * 1.5, RATE, 1)[0]
REST = np.random.default_rng(5).standard_normal(len(VOICE)).astype(np.float32)
FIRST_HALF = np.where(np.arange(len(VOICE)) < len(VOICE) // 2, -1, 1).astype(np.float32)
NOTHING = np.zeros_like(VOICE)


@pytest.mark.parametrize(
    ("layout", "channels", "cancelled_s"),
    [
        ("stereo", [VOICE, VOICE * FIRST_HALF], 4.5),
        ("stereo", [VOICE, -VOICE * FIRST_HALF], 4.5),
        ("stereo", [VOICE + 1e-3 * REST, 1e-3 * REST - VOICE], 9.0),
        ("stereo", [VOICE + 1e-2 * REST, 1e-2 * REST - VOICE], 9.0),
        ("stereo", [0.01 * VOICE, -0.01 * VOICE], 9.0),
        ("stereo", [VOICE, -0.9 * VOICE], 9.0),
        ("5.1", [VOICE, -VOICE, NOTHING, NOTHING, NOTHING, NOTHING], 9.0),
        ("5.1", [NOTHING, NOTHING, NOTHING, NOTHING, VOICE, -VOICE], 9.0),
        ("5.1", [VOICE, -VOICE, NOTHING, NOTHING, -VOICE, VOICE], 9.0),
        ("5.1", [NOTHING, NOTHING, NOTHING, VOICE, 0.05 * VOICE, NOTHING], 0.0),
        ("5.1", [NOTHING, NOTHING, NOTHING, NOTHING, VOICE, NOTHING], 0.0),
        ("stereo", [0.01 * REST, 0.01 * REST[::-1]], 0.0),
    ],
)
def test_clips_in_which_channels_cancel_are_heard(
    decoder: Decoding, layout: str, channels: list[Float32], cancelled_s: float
) -> None:
    encoding = Encoding("", "wav", "pcm_f32le", RATE, layout)
    assert decoder(encode(np.stack(channels), encoding)) == "ok"
    clip_s = FrontEnd().clip_s
    assert decoder.decoded.cancelled_s == pytest.approx(cancelled_s, abs=clip_s)
    if cancelled_s:
        loudness = decoder.features.sum(axis=(1, 2))
        assert loudness.min() > loudness.max() / 10


def test_all_but_the_clips_that_cancel_are_as_they_were(decoder: Decoding) -> None:
    encoding = Encoding("", "flac", "flac", RATE)
    assert decoder(encode(np.stack([VOICE, VOICE * FIRST_HALF]), encoding)) == "ok"
    some = decoder.features
    assert decoder(encode(np.stack([VOICE, VOICE]), encoding)) == "ok"
    np.testing.assert_allclose(some[:2], decoder.features[:2], rtol=1e-2, atol=1e-4)
    np.testing.assert_array_equal(some[-2:], decoder.features[-2:])


def test_warnings_are_for_people() -> None:
    assert warnings_of(0.05, 20.0, 0.0) == ()
    assert warnings_of(3.14, 20.0, 0.0) == (
        "3.1 s of the audio could not be read: this is about the other 20.0 s.",
    )
    assert len(warnings_of(3.14, 20.0, 20.0)) == 2
    assert " for 4.2 s" in warnings_of(0.0, 20.0, 4.2)[0]
    assert " for " not in warnings_of(0.0, 20.0, 20.0)[0]
