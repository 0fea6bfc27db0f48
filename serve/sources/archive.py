"""The files of a zip, each a source of audio; nothing is ever unpacked to a disk."""

from __future__ import annotations

import asyncio
import os
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import IO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from serve.errors import BadRequest, TooBig, TopgenreError, Undecodable, UnsupportedMedia
from serve.sources.stream import FromClient, SourceInfo
from serve.sources.upload import BlockStream

_BLOCK = 1 << 18
# The record at a zip's end (APPNOTE 4.3.16): its size without comment, and the longest comment.
_END, _END_BYTES, _COMMENT_BYTES = b"PK\x05\x06", 22, 0xFFFF
# Where this stands before it another record counts, of 64 bits.
_LOCATOR64, _LOCATOR64_BYTES = b"PK\x06\x07", 20
# What the directory may take for each file: its header, a long name, a few fields more.
_ENTRY_BYTES = 4096
_NESTED = (".zip", ".jar", ".7z", ".rar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".tar")
_ENCRYPTED = 1


@dataclass(frozen=True, slots=True)
class Limits:
    """What a zip may hold: files, bytes of all of them unpacked, and of one."""

    files: int
    total_bytes: int
    file_bytes: int


def open_zip(file: IO[bytes], limits: Limits) -> tuple[ZipFile, list[ZipInfo]]:
    """A zip and its files, without folders and what systems hide beside them.

    Looks at the directory only, and at that only if it is small. Raises BadRequest for what is no
    zip or has no files, TooBig where it says that it is past `limits`: no file gives more bytes
    than the directory says.
    """
    directory_bytes, count = _announced(file)
    if count > 2 * limits.files or directory_bytes > 2 * limits.files * _ENTRY_BYTES:
        raise TooBig(f"The zip holds more than the limit of {limits.files} files.")
    try:
        archive = ZipFile(file)
    except (BadZipFile, NotImplementedError, OSError, ValueError):
        raise BadRequest("The zip is damaged.") from None
    entries = [entry for entry in archive.infolist() if not _hidden(entry)]
    if not entries:
        raise BadRequest("There are no files in the zip.")
    if len(entries) > limits.files:
        raise TooBig(f"The zip holds more than the limit of {limits.files} files.")
    if sum(entry.file_size for entry in entries) > limits.total_bytes:
        raise TooBig(f"Unpacked, this is larger than the limit of {limits.total_bytes} bytes.")
    return archive, entries


@dataclass(frozen=True, slots=True)
class ZipSource(FromClient):
    """One file of a zip; it can be opened again."""

    archive: ZipFile
    entry: ZipInfo
    title: str
    limits: Limits

    @asynccontextmanager
    async def open(self) -> AsyncIterator[BlockStream]:
        """Open it; raise the typed error of what can't be taken."""
        if error := self._refusal():
            raise error
        try:
            file = await asyncio.to_thread(self.archive.open, self.entry)
        except (BadZipFile, NotImplementedError, EOFError, OSError, ValueError):
            raise Undecodable("The zip is damaged here.") from None
        with file:
            info = SourceInfo(self.title, size_bytes=self.entry.file_size)
            yield BlockStream(info, self._blocks(file))

    def _refusal(self) -> TopgenreError | None:
        if self.entry.flag_bits & _ENCRYPTED:
            return UnsupportedMedia("This file is encrypted.")
        if self.entry.filename.lower().endswith(_NESTED):
            return UnsupportedMedia("Archives inside an archive are not opened.")
        if self.entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            return UnsupportedMedia("Files in a zip must be stored or deflated.")
        if self.entry.file_size > self.limits.file_bytes:
            return TooBig(f"The file is larger than the limit of {self.limits.file_bytes} bytes.")
        return None

    async def _blocks(self, file: IO[bytes]) -> AsyncIterator[bytes]:
        try:
            while block := await asyncio.to_thread(file.read, _BLOCK):
                yield block
        except (BadZipFile, EOFError, zlib.error):
            raise Undecodable("The zip is damaged here.") from None


def _announced(file: IO[bytes]) -> tuple[int, int]:
    """The size of a zip's directory in bytes, and its entries: where `zipfile` would look."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _LOCATOR64_BYTES - _END_BYTES - _COMMENT_BYTES))
    tail = file.read()
    at = len(tail) - _END_BYTES
    if at < 0 or not (tail.startswith(_END, at) and tail.endswith(b"\0\0")):
        at = tail.rfind(_END)
    if at < 0 or at + _END_BYTES > len(tail):
        raise BadRequest("That is not a zip file.")
    if tail.startswith(_LOCATOR64, max(0, at - _LOCATOR64_BYTES)):
        raise BadRequest("ZIP64 archives are not accepted.")
    count, directory_bytes = struct.unpack_from("<10xHL", tail, at)
    return directory_bytes, count


def _hidden(entry: ZipInfo) -> bool:
    name = entry.filename
    return (
        entry.is_dir()
        or name.startswith("__MACOSX/")
        or name.rpartition("/")[2].startswith(".")
        or name.endswith("Thumbs.db")
    )
