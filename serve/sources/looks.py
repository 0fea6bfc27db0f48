"""What a file that is no audio looks like, to say so in its own terms."""

from __future__ import annotations

import codecs
import re
from collections.abc import AsyncIterator

from serve.errors import Undecodable
from serve.text import encoding_of

# As much tells what a file is: the mark of a tar stands at 257.
_HEAD_BYTES = 512
_MARKS: tuple[tuple[int, bytes, str], ...] = (
    *((0, mark, "a ZIP archive") for mark in (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")),
    (0, b"\x1f\x8b\x08", "gzip-compressed"),
    (0, b"BZh", "bzip2-compressed"),
    (0, b"\xfd7zXZ\x00", "xz-compressed"),
    (0, b"\x28\xb5\x2f\xfd", "Zstandard-compressed"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (0, b"Rar!\x1a\x07", "a RAR archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"%PDF-", "a PDF document"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Office document"),
    *((0, mark, "a picture") for mark in (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")),
    *((0, mark, "a picture") for mark in (b"II*\0", b"MM\0*")),
    *((4, b"ftyp" + brand, "a picture") for brand in (b"heic", b"heix", b"mif1", b"avif", b"avis")),
    (8, b"WEBP", "a picture"),
    (0, b"MThd", "a MIDI file: notes"),
    (8, b"RMID", "a MIDI file: notes"),
    *((0, mark, "a program") for mark in (b"\x7fELF", b"MZ\x90\0", b"\xcf\xfa\xed\xfe")),
    (0, b"SQLite format 3\0", "a database"),
)
# Audio that begins with a page of text: its header, or that of the answer that it came in.
_TEXT_BEFORE_AUDIO = (b"NIST_1A", b"PVF", b"HTTP/", b"ICY ", b"#!AMR")
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


async def looked_at(blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same blocks, joined until a head is there to look at.

    Raises Undecodable where it is empty or certainly not audio: it says what it is.
    """
    head = b""
    async for block in blocks:
        head += block
        if len(head) >= _HEAD_BYTES:
            break
    if not head:
        raise Undecodable("The file is empty.")
    if other := _other(head[:_HEAD_BYTES]):
        raise Undecodable(f"This is {other}, not audio.")
    yield head
    async for block in blocks:
        yield block


def _other(head: bytes) -> str | None:
    marked = (name for at, mark, name in _MARKS if head.startswith(mark, at))
    return next(marked, "text" if _is_text(head) else None)


def _is_text(head: bytes) -> bool:
    if not head or head.startswith(_TEXT_BEFORE_AUDIO):
        return False
    try:  # the last character may be cut
        text = codecs.getincrementaldecoder(encoding_of(head))().decode(head)
    except UnicodeDecodeError:
        return False
    return not _CONTROLS.search(text)
