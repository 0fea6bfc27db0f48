"""What the first bytes of a file say of its length.

FFmpeg tells that of most files. Of these it does so only where it can seek, or by an estimate.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

from av import AudioCodecContext

from serve.audio.chunks import chunks_of

# Whoever states more than this did not know how much there would be: SoX writes the least.
MOST_BYTES = 0x7F000000 - (1 << 16)
_XING = re.compile(rb"(?s)(?:Xing|Info)\0\0\0[\x01\x03\x05\x07\x09\x0b\x0d\x0f](.{4})")
_AVI_AUDIO = re.compile(rb"(?s)strh.{4}auds.{16}(.{4})(.{4}).{4}(.{4})")
_BITS = re.compile(r"pcm_[suf](\d+)")
_IN_DS64 = 0xFFFFFFFF
# What FFmpeg writes as an AVI's length where it can't go back to it.
_UNKNOWN_AVI = 1 << 30


def stated_s(container: str, head: bytes, decoder: AudioCodecContext) -> float | None:
    """The length in seconds; 0 where it is not known, None where FFmpeg is to be asked.

    `container` is its name in FFmpeg, `head` the beginning of what FFmpeg reads.
    """
    told = _TOLD.get(container)
    return told(head, decoder) if told and decoder.sample_rate else None


def _mp3(head: bytes, decoder: AudioCodecContext) -> float:
    found = _XING.search(head, 0, 256)
    frames = int.from_bytes(found[1], "big") if found else 0
    return frames * (1152 if decoder.sample_rate >= 32_000 else 576) / decoder.sample_rate


def _pcm(head: bytes, decoder: AudioCodecContext) -> float | None:
    if not decoder.name.startswith("pcm_"):
        return None
    chunks = chunks_of(head)
    size = chunks[b"data"].size if b"data" in chunks else 0
    if size == _IN_DS64 and b"ds64" in chunks:
        (size,) = struct.unpack_from("<Q", head, chunks[b"ds64"].start + 8)
    bits = _BITS.match(decoder.name)  # A-law and mu-law have 8
    frame_bytes = (int(bits[1]) if bits else 8) / 8 * decoder.layout.nb_channels
    known = 0 < size < MOST_BYTES and frame_bytes
    return size / frame_bytes / decoder.sample_rate if known else 0.0


def _avi(head: bytes, decoder: AudioCodecContext) -> float | None:
    if (found := _AVI_AUDIO.search(head)) is None:
        return None
    scale, rate, length = (int.from_bytes(number, "little") for number in found.groups())
    return 0.0 if length == _UNKNOWN_AVI or not rate else length * scale / rate


def _sox(head: bytes, decoder: AudioCodecContext) -> float:
    samples = int.from_bytes(head[8:16], "little" if head.startswith(b".SoX") else "big")
    return samples / max(1, decoder.layout.nb_channels) / decoder.sample_rate


def _avr(head: bytes, decoder: AudioCodecContext) -> float:
    return int.from_bytes(head[26:30], "big") / decoder.sample_rate


_TOLD: dict[str, Callable[[bytes, AudioCodecContext], float | None]] = {
    **dict.fromkeys(("wav", "w64", "caf"), _pcm),
    **{"mp3": _mp3, "avi": _avi, "sox": _sox, "avr": _avr},
}
