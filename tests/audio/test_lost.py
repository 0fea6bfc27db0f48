"""What of a file can't be read is told, with how much it is."""

from __future__ import annotations

import re

import numpy as np
import pytest

from serve.answer import warnings_of
from tests.corpus.decoding import Decoding, decoding
from tests.media import CHANNELS, ENCODINGS, INDEX_FIRST, Encoding, by_name, encode, music

SECONDS = 4.0
# Half of a file tells nothing of the other half: no length is stated, or the index is gone.
UNTOLD = {
    *("wav-u8", "wav-s16", "wav-s24", "wav-s32", "wav-s16-5.1", "flac-in-ogg", "alac", "vorbis"),
    *("opus-ogg", "m4a-index-last", "m4a-5.1", "aac-adts", "ac3", "mpeg-ts"),
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


def test_a_length_that_nobody_knew_when_it_was_written_is_no_loss(decoder: Decoding) -> None:
    content = bytearray(encoded(by_name("wav-mulaw-8k")))
    at = content.index(b"data") + 4
    content[at : at + 4] = (0x7FFFFFFF).to_bytes(4, "little")
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
    assert decoder.decoded.cancelled
    opposite = decoder.features
    assert decoder(encode(np.stack([left, left]), encoding)) == "ok"
    assert not decoder.decoded.cancelled
    same = decoder.features
    assert np.corrcoef(opposite.ravel(), same.ravel())[0, 1] > 0.95
    assert opposite.sum() == pytest.approx(same.sum(), rel=0.1)


@pytest.mark.parametrize("gain", [0.0, 0.003, 0.5])
def test_soft_music_is_not_taken_for_such(decoder: Decoding, gain: float) -> None:
    encoding = by_name("flac")
    code = decoder(encode(music(SECONDS, encoding.rate) * np.float32(gain), encoding))
    assert code == ("ok" if gain else "silent")
    assert not (decoder.decoded and decoder.decoded.cancelled)


def test_channels_that_cancel_in_a_track_of_parts(decoder: Decoding) -> None:
    encoding = Encoding("wav", "wav", "pcm_s16le", rate=32_000)
    left = music(90.0, encoding.rate, 1)[0]
    assert decoder(encode(np.stack([left, -left]), encoding)) == "ok"
    assert decoder.decoded.cancelled
    assert decoder.decoded.duration_s == 90
    parted = decoder.features
    assert decoder(encode(left[None], Encoding("", "wav", "pcm_s16le", 32_000, "mono"))) == "ok"
    np.testing.assert_allclose(parted, decoder.features, rtol=1e-3, atol=1e-3)


def test_warnings_are_for_people() -> None:
    assert warnings_of(0.05, 20.0, cancelled=False) == ()
    assert warnings_of(3.14, 20.0, cancelled=False) == (
        "3.1 s of the audio could not be read: this is about the other 20.0 s.",
    )
    assert len(warnings_of(3.14, 20.0, cancelled=True)) == 2
