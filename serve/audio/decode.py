"""Encoded audio of any common container and codec to mono float32 samples, with PyAV."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Protocol, cast

import av
from av.container import InputContainer

from serve.audio.frames import Frames, audio_stream
from serve.audio.mel import Float32
from serve.audio.parts import Part
from serve.errors import Undecodable

# FFmpeg's buffer for reading through Python.
_READ_BYTES = 1 << 16
# Demuxers that may see untrusted bytes. Those that open other files or addresses named inside the
# media (hls, dash, concat, image sequences, …) are absent.
_CONTAINERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,eac3,flac,flv,iff,matroska,mov,mp3,mpc,mpc8,mpeg,"
    "mpegts,nut,ogg,rm,tta,voc,w64,wav,webm,wv"
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
    # that, as for an mp4 with its index at the end, everything is waited for.
    for file in (lambda: _Forward(media), media.whole):
        with opened(file()) as container:
            if container:
                part = Part(Frames(container), sample_rate)
                yield part
                if part.position:
                    return
    raise Undecodable


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
    except av.error.FFmpegError:
        yield None
        return
    with container:
        yield container if audio_stream(container) else None


class _Forward:
    """A file with `read` alone: FFmpeg then knows that it can't seek."""

    def __init__(self, media: Media) -> None:
        self.read = media.read


class _Whole:
    """A file that can seek to anywhere: beyond its end there is nothing to read.

    Memory refuses such places, and a broken index names them by the thousand.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        file.seek(0, os.SEEK_END)
        self._size = file.tell()
        file.seek(0)
        self.read, self.tell = file.read, file.tell

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place, or to the nearest that there is."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._file.tell(), os.SEEK_END: self._size}[whence]
        self._file.seek(min(max(0, start + offset), self._size))
        return self._file.tell()
