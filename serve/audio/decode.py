"""Encoded audio of any common container and codec to mono float32 samples, with PyAV."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from typing import IO, Protocol, cast

import av
from av.container import InputContainer

from serve.audio.frames import FAULTS, Frames, audio_stream
from serve.audio.front import head_of
from serve.audio.mel import Float32
from serve.audio.ogg import OGG, OggLinks
from serve.audio.parts import Part
from serve.errors import Undecodable

# FFmpeg's buffer for reading through Python.
_READ_BYTES = 1 << 16
# Demuxers that may see untrusted bytes. Those that open other files or addresses named inside the
# media (hls, dash, concat, image sequences, …) are absent.
_CONTAINERS = (
    "aac,ac3,adx,aiff,amr,ape,asf,au,avi,avr,caf,dsf,dts,dtshd,eac3,epaf,flac,flv,gsm,iff,ircam,"
    "loas,matroska,mlp,mov,mp3,mpc,mpc8,mpeg,mpegts,nistsphere,nut,ogg,oma,paf,pvf,qoa,rm,shn,"
    "sox,tak,truehd,tta,voc,w64,wav,webm,wv"
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


def attempts(media: Media, sample_rate: int, *, apart: bool = False) -> Iterator[Part]:
    """Yield the track as parts to be iterated over at once, each going on where the last broke off.

    `apart` is for channels that cancel each other: see `Part`. Raises Undecodable where nothing
    comes of any.
    """
    position, stated_s = 0, None
    for file in _files(media):
        with closing(_containers(file)) as containers:
            if (container := next(containers, None)) is None:
                continue
            resumable = not (file.can_seek or file.chainable or position)
            frames = Frames(container, containers, file.head.content, resumable=resumable)
            stated_s = frames.stated_s if stated_s is None else stated_s
            part = Part(frames, sample_rate, position, apart=apart)
            part.stated_s = stated_s
            yield part
            if part.joined or (part.position > position and not frames.broken_off):
                return
            position = part.position
        if file.can_seek and not position:
            break
    if not position:
        raise Undecodable


def _files(media: Media) -> Iterator[_Forward | _Whole]:
    # First without seeking, so that decoding starts with the first bytes. Where that comes to less
    # than the file says, as for an mp4 with its index at the end or its chunks in another order,
    # everything is waited for. Where that comes to even less, what can be had without still counts.
    yield _Forward(media.read)
    yield _Whole(media.whole())
    yield _Forward(media.whole().read)


@contextmanager
def opened(file: IO[bytes]) -> Iterator[InputContainer | None]:
    """A container with audio that can be decoded, of a whole file.

    None where it has none, is unknown to us, or is several files in one.
    """
    whole = _Whole(file)
    if whole.chained():
        yield None
        return
    with closing(_containers(whole)) as containers:
        yield next(containers, None)


def _containers(file: _Forward | _Whole) -> Generator[InputContainer]:
    """The containers in a file, one after the other, as far as they have audio to be decoded."""
    while True:
        with suppress(*FAULTS), _open(file) as container:
            if audio_stream(container):
                yield container
        if not file.advance():
            return


def _open(file: _Forward | _Whole) -> InputContainer:
    return av.open(
        cast(IO[bytes], file),
        "r",
        options=_OPTIONS,
        metadata_errors="replace",
        buffer_size=_READ_BYTES,
    )


class _Forward:
    """A file with `read` alone: FFmpeg then knows that it can't seek.

    An Ogg file ends with its first link; `advance` goes on to the next.
    """

    can_seek = False

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self.head = head_of(read)
        self._begin = io.BytesIO(self.head.content)
        self._rest = read
        links = OggLinks(self._read) if self.head.content.startswith(OGG) else None
        self.chainable = links is not None
        self.read = links.read if links else self._read
        self.advance = links.advance if links else _is_all

    def _read(self, size: int) -> bytes:
        return self._begin.read(size) or self._rest(size)


def _is_all() -> bool:
    return False


class _Whole:
    """A file that can seek to anywhere: beyond its end there is nothing to read.

    Memory refuses such places, and a broken index names them by the thousand.
    """

    # FFmpeg goes from link to link of an Ogg file by itself, as long as they are alike.
    can_seek, chainable = True, False

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        file.seek(0, os.SEEK_END)
        self._size = file.tell()  # a mapping's `seek` tells nothing
        file.seek(0)
        self.head = head_of(file.read)
        self._position = 0
        self.advance = _is_all

    def chained(self) -> bool:
        """Whether it is several Ogg files in one."""
        if not self.head.content.startswith(OGG):
            return False
        chained = OggLinks(self.read).advance()
        self.seek(0)
        return chained

    def read(self, size: int) -> bytes:
        """The next bytes."""
        begin, head = self._position, self.head
        if begin < len(head.content):
            block = head.content[begin : begin + size]
        else:
            self._file.seek(min(head.length + begin - len(head.content), self._size))
            block = self._file.read(size)
        self._position += len(block)
        return block

    def tell(self) -> int:
        """The place of the next byte."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place, or to the nearest that there is."""
        size = self._size - self.head.length + len(self.head.content)
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: size}[whence]
        self._position = min(max(0, start + offset), size)
        return self._position
