"""Encoded audio of any common container and codec to mono float32 samples, with PyAV."""

from __future__ import annotations

import io
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Protocol, cast

import av
from av.container import InputContainer

from serve.audio import front, ogg
from serve.audio.frames import FAULTS, Frames, audio_stream
from serve.audio.mel import Float32
from serve.audio.parts import Part
from serve.errors import Undecodable

# Seconds by which less may come of a track than its container says.
_SHORT_OF_S = 0.2
# FFmpeg's buffer for reading through Python.
_READ_BYTES = 1 << 16
# Demuxers that may see untrusted bytes. Those that open other files or addresses named inside the
# media (hls, dash, concat, image sequences, …) are absent.
_CONTAINERS = (
    "aac,ac3,adx,aiff,amr,ape,asf,au,avi,avr,caf,dsf,dts,dtshd,eac3,epaf,flac,flv,iff,ircam,loas,"
    "matroska,mlp,mov,mp3,mpc,mpc8,mpeg,mpegts,nistsphere,nut,ogg,pvf,rm,sox,tak,truehd,tta,voc,"
    "w64,wav,webm,wv"
)
_OPTIONS = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "none"}


class Media(Protocol):
    """Encoded bytes that may still be arriving.

    `read` waits for at most `size` bytes and answers b"" at the end; `whole` waits for everything
    and gives it as a seekable file.
    """

    def read(self, size: int) -> bytes:
        """The next bytes."""
        ...

    def whole(self) -> IO[bytes]:
        """All bytes, from the first."""
        ...


class Complete:
    """Media that has all arrived."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._file = io.BytesIO(content)

    def read(self, size: int) -> bytes:
        """The next bytes."""
        return self._file.read(size)

    def whole(self) -> IO[bytes]:
        """All bytes, from the first."""
        return io.BytesIO(self._content)


def decode(media: Media, sample_rate: int) -> Iterator[Float32]:
    """Yield blocks of mono samples at `sample_rate`, full scale 1.0, as the bytes arrive.

    Broken packets are passed over, as players do. Raises Undecodable where there is no audio.
    """
    for part in attempts(media, sample_rate):
        yield from part


def attempts(media: Media, sample_rate: int) -> Iterator[Part]:
    """Yield the track as one part, to be iterated over at once, until something has come of it.

    Raises Undecodable where nothing does.
    """
    # First without seeking, so that decoding starts with the first bytes. Where nothing comes of
    # that, as for an mp4 with its index at the end, or not all, everything is waited for.
    position, interrupted = 0, False
    with opened(_Forward(media)) as container:
        if container:
            frames = Frames(container)
            yield (part := Part(frames, sample_rate))
            position = part.position
            interrupted = frames.interrupted and not _is_all(frames, position / sample_rate)
            if part.joined or (position and not interrupted):
                return
    begin = 0
    for file in _sections(media.whole(), parted=interrupted):
        with opened(file) as container:
            if container:
                yield (part := Part(Frames(container), sample_rate, begin, position))
                if part.joined:
                    return
                begin = part.position
    if not max(begin, position):
        raise Undecodable


def _is_all(frames: Frames, seconds: float) -> bool:
    """Whether that is as long as the container says: a demuxer may also stumble at the very end."""
    return frames.duration_s is not None and seconds > frames.duration_s - _SHORT_OF_S


def _sections(file: IO[bytes], *, parted: bool) -> Iterator[IO[bytes]]:
    """The file, or each stream of one that is a chain of them."""
    if not parted:
        yield file
        return
    content = file if isinstance(file, mmap.mmap) else file.read()
    for start, end in ogg.links(content):
        yield io.BytesIO(content[start:end])


@contextmanager
def opened(file: IO[bytes] | _Forward) -> Iterator[InputContainer | None]:
    """A container with audio that can be decoded; None where it has none, or is unknown to us."""
    try:
        container = av.open(
            cast(IO[bytes], file if isinstance(file, _Forward) else _Whole(file)),
            "r",
            options=_OPTIONS,
            metadata_errors="replace",
            buffer_size=_READ_BYTES,
        )
    except FAULTS:
        yield None
        return
    with container:
        yield container if audio_stream(container) else None


class _Forward:
    """A file with `read` alone: FFmpeg then knows that it can't seek."""

    def __init__(self, media: Media) -> None:
        self._read = media.read
        self._first: bytes | None = None

    def read(self, size: int) -> bytes:
        """The next bytes."""
        if self._first is None:
            self._first = front.passed(self._read)
        if not self._first:
            return self._read(size)
        block, self._first = self._first[:size], self._first[size:]
        return block


class _Whole:
    """A file that can seek to anywhere: beyond its end there is nothing to read.

    Memory refuses such places, and a broken index names them by the thousand.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        file.seek(0, os.SEEK_END)
        end = file.tell()
        file.seek(0)
        self._first = front.passed(file.read)
        self._start = file.tell() - len(self._first)
        self._size = end - self._start
        file.seek(self._start)

    def read(self, size: int) -> bytes:
        """The next bytes."""
        block = self._first[self.tell() :][:size]
        if not block:
            return self._file.read(size)
        self._file.seek(len(block), os.SEEK_CUR)
        return block

    def tell(self) -> int:
        """The place that is read next."""
        return self._file.tell() - self._start

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place, or to the nearest that there is."""
        begin = {os.SEEK_SET: 0, os.SEEK_CUR: self.tell(), os.SEEK_END: self._size}[whence]
        self._file.seek(self._start + min(max(0, begin + offset), self._size))
        return self.tell()
