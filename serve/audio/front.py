"""What a file begins with, put right where FFmpeg would not find the audio, or would misread it.

Players pass over tags, zeros and HTTP heads before the audio. And FFmpeg takes the valid bits of a
PCM sample for the size of its container, and big-endian WAV for little-endian: both become noise.
What is read is what libsndfile reads.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

from serve.audio.chunks import AUDIO, chunks_of, needed
from serve.errors import Undecodable

# As much of the audio is looked at: what is put right lies in the first few hundred bytes. Where
# an editor has put notes or a picture before it, that may be more.
_HEAD_BYTES = 1 << 14
_LONGEST_HEAD = 1 << 24
_READ_BYTES = 1 << 16
_ENDLESS = 0x7FFFFFFF
_ID3_BYTES, _ID3_FOOTER = 10, 0x10
_ID3 = re.compile(rb"(?s)ID3[^\xff]{2}.[\0-\x7f]{4}")
_HTTP = re.compile(rb"(?:HTTP/\d|ICY )[^\0]+?\n\r?\n")
_ZEROS = re.compile(
    rb"(?s)\0+(?=OggS|fLaC|RIF[FX]|FORM|ID3|wvpk|MAC |caff|\x1a\x45\xdf\xa3|....ftyp|HTTP/|ICY )"
)
_NOT_READ = "The codec in this file can't be read."
# Apple's names for little-endian samples, and one of libsndfile's.
_LITTLE_ENDIAN = (b"sowt", b"23ni", b"42ni", b"42n1")
_PCM, _FLOAT, _A_LAW, _MU_LAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
# NMS's ADPCM and G.721 in WAV, G.723 in AU, as which FFmpeg decodes something else.
_MISREAD_WAV, _MISREAD_AU = (0x38, 0x40), 26
# Sun's names for what big-endian WAV can hold, by kind and bytes of a sample.
_AU_ENCODINGS = {
    **{(_MU_LAW, 1): 1, (_PCM, 2): 3, (_PCM, 3): 4, (_PCM, 4): 5},
    **{(_FLOAT, 4): 6, (_FLOAT, 8): 7, (_A_LAW, 1): 27},
}


@dataclass(frozen=True, slots=True)
class Head:
    """`content` is to be read in place of the first `length` bytes of a file."""

    length: int
    content: bytes


def head_of(read: Callable[[int], bytes]) -> Head:
    """The head of what `read` reads; it waits for some kilobytes.

    Raises Undecodable for what FFmpeg would take for something else.
    """
    passed, head = 0, _filled(b"", read)
    while junk := _junk(head):
        passed += junk
        left = junk - len(head)
        while left > 0 and (block := read(min(left, _READ_BYTES))):
            left -= len(block)
        head = _filled(head[junk:], read)
    head = _with_length(_with_chunks(head, read))
    replaced, content = _put_right(head)
    return Head(passed + len(head), content + head[replaced:])


def _filled(head: bytes, read: Callable[[int], bytes], size: int = _HEAD_BYTES) -> bytes:
    blocks = [head]
    while (size_left := size - sum(map(len, blocks))) > 0 and (block := read(size_left)):
        blocks.append(block)
    return b"".join(blocks)


def _with_chunks(head: bytes, read: Callable[[int], bytes]) -> bytes:
    """The head up to where the audio begins, in files of chunks."""
    while len(head) < (size := needed(chunks_of(head))) < _LONGEST_HEAD:
        head = _filled(head, read, size)
        if len(head) < size:
            break
    return head


def _with_length(head: bytes) -> bytes:
    """With a length of the audio where none was known when a file was begun: FFmpeg stops at 0."""
    chunks = chunks_of(head)
    start, size = next((chunks[name] for name in AUDIO if name in chunks), (0, 1))
    if head.startswith(b"riff") and not 0 < size < 1 << 62:
        return head[: start - 8] + struct.pack("<q", _ENDLESS) + head[start:]
    if head.startswith(b"FORM") and size == 0:
        endless = struct.pack(">I", _ENDLESS)
        return head[:4] + endless + head[8 : start - 4] + endless + head[start:]
    large = chunks.get(b"ds64")
    if large and not any(head[large.start + 8 : large.start + 16]):
        return b"RIFF" + head[4:]
    return head


def _junk(head: bytes) -> int:
    """Bytes to be passed over; 0 where the audio begins."""
    if found := _ID3.match(head):
        size = 0
        for byte in found[0][6:]:
            size = size << 7 | byte
        return size + _ID3_BYTES * (2 if found[0][5] & _ID3_FOOTER else 1)
    if len(head) == _HEAD_BYTES and not head.strip(b"\0"):
        return len(head) - 3  # an mp4 begins with zeros of its own
    found = _HTTP.match(head) or _ZEROS.match(head)
    return found.end() if found else 0


def _put_right(head: bytes) -> tuple[int, bytes]:
    """How many of the first bytes are replaced, and with what."""
    if head.startswith((b"RIFF", b"RF64", b"BW64", b"riff")):
        return _with_whole_samples(head, chunks_of(head).get(b"fmt ", (0, 0))[0])
    if head.startswith(b".snd") and head[12:16] == _MISREAD_AU.to_bytes(4, "big"):
        raise Undecodable(_NOT_READ)
    if head.startswith(b"dns.") and len(head) >= 24:
        return _little_au(head)
    if head.startswith(b"caff") and head[8:12] == b"desc":
        return _caf(head)
    if head.startswith(b"RIFX") and head[8:12] == b"WAVE":
        return _rifx(head)
    if head.startswith(b"FORM") and head[8:12] == b"AIFC":
        return _aifc(head)
    return 0, b""


def _with_whole_samples(head: bytes, at: int) -> tuple[int, bytes]:
    """With samples that are said to be as wide as their containers: the rest of these is zeros."""
    if not at or len(head) < at + 40:
        return 0, b""
    tag, channels, _, _, align, bits = struct.unpack_from("<HHIIHH", head, at)
    if tag in _MISREAD_WAV:
        raise Undecodable(_NOT_READ)
    extended = tag == _EXTENSIBLE
    valid, kind = struct.unpack_from("<H4xH", head, at + 18) if extended else (bits, tag)
    width = align // channels if channels else 0
    if kind not in (_PCM, _FLOAT) or width > 8 or not (_bytes(valid) < width >= _bytes(bits)):
        return 0, b""
    whole = struct.pack("<H", 8 * width)
    middle = whole + head[at + 16 : at + 18] + whole if extended else whole
    return at + 14 + len(middle), head[: at + 14] + middle


def _bytes(bits: int) -> int:
    return (bits + 7) // 8


def _caf(head: bytes) -> tuple[int, bytes]:
    if len(head) < 52:
        return 0, b""
    kind, _, size, frames, channels, bits = struct.unpack_from(">4s5I", head, 28)
    width = size // channels if channels else 0
    if (kind, frames) != (b"lpcm", 1) or width > 8 or _bytes(bits) >= width:
        return 0, b""
    return 52, head[:48] + struct.pack(">I", 8 * width)


def _rifx(head: bytes) -> tuple[int, bytes]:
    """Big-endian WAV with the head of an AU file."""
    chunks = chunks_of(head)
    at, data = chunks.get(b"fmt ", (0, 0))[0], chunks.get(b"data")
    if not at or data is None or len(head) < at + 26:
        return 0, b""
    kind, channels, rate, _, align = struct.unpack_from(">HHIIH", head, at)
    if kind == _EXTENSIBLE:
        (kind,) = struct.unpack_from(">H", head, at + 24)
    encoding = _AU_ENCODINGS.get((kind, align // channels if channels else 0))
    if encoding is None:
        if kind != _PCM:
            raise Undecodable(_NOT_READ)
        return 0, b""
    start, size = data
    return start, struct.pack(">4s5I4x", b".snd", 28, size, encoding, rate, channels)


def _aifc(head: bytes) -> tuple[int, bytes]:
    """Little-endian AIFF-C of more than 16 bits with the head of a WAV file."""
    chunks = chunks_of(head)
    at, data = chunks.get(b"COMM", (0, 0))[0], chunks.get(b"SSND")
    if not at or data is None or len(head) < at + 22:
        return 0, b""
    channels, _, bits, exponent, mantissa, kind = struct.unpack_from(">hIhHQ4s", head, at)
    if kind not in _LITTLE_ENDIAN or bits <= 16:
        return 0, b""
    rate = (mantissa >> max(0, 16383 + 63 - exponent)) & 0xFFFFFFFF
    size = max(0, data.size - 8)
    return data.start + 8, _wav(_PCM, rate, channels & 0xFFFF, _bytes(bits), size)


def _little_au(head: bytes) -> tuple[int, bytes]:
    """AU of a little-endian machine's with the head of a WAV file."""
    start, size, encoding, rate, channels = struct.unpack_from("<5I", head, 4)
    kind, width = next((of for of, number in _AU_ENCODINGS.items() if number == encoding), (0, 0))
    return (start, _wav(kind, rate, channels & 0xFFFF, width, size)) if kind else (0, b"")


def _wav(kind: int, rate: int, channels: int, width: int, size: int) -> bytes:
    align = channels * width & 0xFFFF
    return struct.pack(
        "<4sI8sIHHIIHH4sI",
        *(b"RIFF", (36 + size) & 0xFFFFFFFF, b"WAVEfmt ", 16, kind, channels, rate),
        *(rate * align & 0xFFFFFFFF, align, 8 * width, b"data", size),
    )
