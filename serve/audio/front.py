"""The first bytes of a file, as FFmpeg takes them best.

What may stand in front of audio and is none of it is passed: tags, the head of an HTTP answer,
zeros. And a head that FFmpeg takes for another is mended.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from serve.errors import Undecodable

Read = Callable[[int], bytes]

_TAG_HEADER, _FOOTER = 10, 0x10
_HEADS = (b"HTTP/", b"ICY ")
_HEAD_END = b"\r\n\r\n"
_AFTER_ZEROS = (b"OggS", b"fLaC")
# No head is longer; nor are zeros looked past for longer.
_MOST = 1 << 16
_CHUNK = struct.Struct("<4sI")
_EXTENSIBLE, _EXTENSIBLE_BYTES = 0xFFFE, 40
# NMS's ADPCM and G.721, as which FFmpeg decodes something else.
_MISREAD = (0x38, 0x40)


def passed(read: Read) -> bytes:
    """Read past it; gives those bytes of what follows that were read.

    ID3v2 (id3.org, 2.4.0, section 3) may stand in front of any format, though FFmpeg expects it
    in few. Zeros are looked past only where Ogg or FLAC follows: an mp4 begins with some itself.
    """
    head = _exactly(read, _TAG_HEADER)
    while head.startswith(b"ID3") and len(head) == _TAG_HEADER:
        _exactly(read, _tag_bytes(head) - _TAG_HEADER)
        head = _exactly(read, _TAG_HEADER)
    if head.startswith(_HEADS):
        head = _after_head(read, head)
    if head.startswith(b"RIFX"):
        raise Undecodable("This is a WAV file with big-endian samples, which can't be read.")
    if head.startswith((b"RIFF", b"RF64")):
        return _wav(read, head)
    return _after_zeros(read, head)


def _tag_bytes(header: bytes) -> int:
    size = 0
    for seven_bits in header[6:10]:
        size = size << 7 | seven_bits & 0x7F
    return _TAG_HEADER + size + (_TAG_HEADER if header[5] & _FOOTER else 0)


def _after_head(read: Read, head: bytes) -> bytes:
    while _HEAD_END not in head:
        more = read(_MOST) if len(head) < _MOST else b""
        if not more:
            return head
        head += more
    return head.partition(_HEAD_END)[2]


def _after_zeros(read: Read, head: bytes) -> bytes:
    while head and not head.strip(b"\0") and len(head) < _MOST and (more := read(_MOST)):
        head += more
    if not head.startswith(b"\0"):
        return head
    audio = head.lstrip(b"\0")
    if len(audio) < len(_AFTER_ZEROS[0]):
        audio += (more := _exactly(read, len(_AFTER_ZEROS[0]) - len(audio)))
        head += more
    return audio if audio.startswith(_AFTER_ZEROS) else head


def _wav(read: Read, head: bytes) -> bytes:
    """A WAV's head whose samples are as wide as their containers.

    Where fewer bits of them count, FFmpeg takes the samples for narrower ones, and hears noise.
    """
    at = 12
    while at < _MOST:
        head += _exactly(read, at + _CHUNK.size + _EXTENSIBLE_BYTES - len(head))
        if len(head) < at + _CHUNK.size:
            break
        name, size = _CHUNK.unpack_from(head, at)
        at += _CHUNK.size
        if name == b"fmt " and size >= _EXTENSIBLE_BYTES and len(head) >= at + _EXTENSIBLE_BYTES:
            (tag,) = struct.unpack_from("<H", head, at)
            wide = head[at + 14 : at + 16]
            return head[: at + 18] + wide + head[at + 20 :] if tag == _EXTENSIBLE else head
        if name == b"fmt " and struct.unpack_from("<H", head, at)[0] in _MISREAD:
            raise Undecodable("The codec in this WAV file can't be read.")
        if name in (b"fmt ", b"data"):
            break
        at += size + size % 2
    return head


def _exactly(read: Read, size: int) -> bytes:
    """So many bytes, or all that there are."""
    content = b""
    while len(content) < size and (more := read(size - len(content))):
        content += more
    return content
