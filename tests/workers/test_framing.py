"""Frames come out as they went in, however they arrive; what is no frame is said."""

import asyncio

import pytest

from serve.workers import framing

FRAMES = [(b"a", b""), (b"b", b"word"), (b"c", bytes(70_000))]
WIRE = b"".join(framing.head(kind, len(payload)) + payload for kind, payload in FRAMES)


async def reader(sent, *, ended=True):
    stream = asyncio.StreamReader()
    stream.feed_data(sent)
    if ended:
        stream.feed_eof()
    return stream


async def test_what_is_written_is_read():
    stream = await reader(WIRE)
    assert [await framing.read(stream, 70_000) for _ in FRAMES] == FRAMES
    with pytest.raises(EOFError):
        await framing.read(stream, 1)


@pytest.mark.parametrize("size", [0, 3, 5, 8])
async def test_a_stream_that_ends_in_a_frame(size):
    with pytest.raises(EOFError):
        await framing.read(await reader(WIRE[5 : 5 + size]), 10)


async def test_a_frame_that_is_too_large_is_not_waited_for():
    with pytest.raises(ValueError, match="4294967295"):
        await framing.read(await reader(framing.head(b"x", 2**32 - 1), ended=False), 1 << 16)


@pytest.mark.parametrize("step", [1, 4, 7, 100_000])
def test_what_arrives_bit_by_bit_is_taken(step):
    received, found = bytearray(), []
    for start in range(0, len(WIRE), step):
        received += WIRE[start : start + step]
        while (frame := framing.take(received)) is not None:
            found.append(frame)
    assert found == FRAMES
    assert not received
