"""How much FFmpeg decodes of a file that it may seek in, from its first packet to its last."""

from __future__ import annotations

import io
from itertools import count

import av

from serve.audio.decode import _OPTIONS
from serve.audio.frames import audio_stream

# Errors after which nothing more will come.
_GIVEN_UP = 100


def sequential_s(content: bytes, most_s: float) -> float:
    """Seconds, up to `most_s` or a little more; 0 where nothing can be decoded."""
    try:
        with av.open(
            io.BytesIO(content), "r", metadata_errors="replace", options=_OPTIONS
        ) as container:
            return _decoded_s(container, most_s)
    except (av.error.FFmpegError, LookupError, OSError):
        return 0.0


def _decoded_s(container: av.container.InputContainer, most_s: float) -> float:
    seconds, errors = 0.0, count(1)
    stream = audio_stream(container)
    if stream is None:
        return seconds
    packets = container.demux(stream)
    while seconds < most_s:
        try:
            packet = next(packets)
        except StopIteration:
            break
        except av.error.FFmpegError:
            if next(errors) > _GIVEN_UP:
                break
            packets = container.demux(stream)
            continue
        try:
            frames = stream.codec_context.decode(packet)
        except av.error.FFmpegError:
            continue
        seconds += sum(frame.samples / frame.sample_rate for frame in frames)
    return seconds
