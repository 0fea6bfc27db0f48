"""Encoded audio of any common container and codec to mono float32 samples, with PyAV."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import IO, Protocol, cast

import av
import av.audio
import numpy as np
from av.container import InputContainer

from serve.audio.mel import Float32
from serve.errors import Undecodable

# Samples per block after resampling: large, because each block costs Python work.
_BLOCK = 1 << 14
# Packets in a row that may be broken before the rest is given up.
_MAX_BROKEN = 1000
# FFmpeg's buffer for reading through Python.
_READ_BYTES = 1 << 16
# Demuxers that may see untrusted bytes. Those that open other files or addresses named inside the
# media (hls, dash, concat, image sequences, …) are absent.
_CONTAINERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,eac3,flac,flv,iff,matroska,mov,mp3,mpc,mpc8,mpeg,"
    "mpegts,nut,ogg,rm,tta,voc,w64,wav,webm,wv"
)
# Channels are averaged: no sum of them leaves full scale.
_DOWNMIX = {"rematrix_maxval": "1.0"}
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
    # First without seeking, so that decoding starts with the first bytes. Where nothing comes of
    # that, as for an mp4 with its index at the end, everything is waited for.
    for attempt in (lambda: _Forward(media), media.whole):
        empty = True
        for block in _decoded(attempt(), sample_rate):
            empty = False
            yield block
        if not empty:
            return
    raise Undecodable


def _decoded(file: IO[bytes] | _Forward, sample_rate: int) -> Iterator[Float32]:
    try:
        container = av.open(
            cast(IO[bytes], file),
            "r",
            options=_OPTIONS,
            metadata_errors="replace",
            buffer_size=_READ_BYTES,
        )
    except av.error.FFmpegError:
        return
    with container:
        if container.streams.audio:
            yield from _resampled(container, sample_rate)


class _Forward:
    """A file with `read` alone: FFmpeg then knows that it can't seek."""

    def __init__(self, media: Media) -> None:
        self.read = media.read


def _frames(container: InputContainer) -> Iterator[av.AudioFrame]:
    stream = container.streams.best("audio") or container.streams.audio[0]
    broken = 0
    packets = container.demux(stream)
    while broken < _MAX_BROKEN:
        try:
            packet = next(packets)
            frames = cast(list[av.AudioFrame], packet.decode())
        except StopIteration:
            return
        except av.error.FFmpegError:
            broken += 1
            continue
        broken = 0
        yield from frames


def _resampled(container: InputContainer, sample_rate: int) -> Iterator[Float32]:
    resampler: av.AudioResampler | None = None
    setup = None
    for frame in _frames(container):
        # A stream may change its format on the way, as chained Ogg and AAC with SBR do.
        if (found := (frame.format.name, frame.layout.name, frame.sample_rate)) != setup:
            yield from _blocks(resampler, None)
            setup = found
            resampler = av.AudioResampler(
                "flt", "mono", sample_rate, frame_size=_BLOCK, options=_DOWNMIX
            )
        # The time stamps don't matter here, and broken ones would make the filter complain.
        frame.pts = None
        yield from _blocks(resampler, frame)
    yield from _blocks(resampler, None)


def _blocks(resampler: av.AudioResampler | None, frame: av.AudioFrame | None) -> Iterator[Float32]:
    if resampler is None:
        return
    for resampled in resampler.resample(frame):
        samples = resampled.to_ndarray()[0]
        if not np.isfinite(samples).all():
            samples = np.nan_to_num(samples, posinf=0.0, neginf=0.0)
        yield samples
