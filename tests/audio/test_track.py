"""A track in several decoders: the same features, and nothing left behind."""

import asyncio
import os
import signal

import numpy as np
import pytest

from serve.audio import track
from serve.audio.frontend import FrontEnd
from serve.audio.pool import DecoderPool
from serve.errors import Internal, Silent, TooLong
from tests.audio.test_pool import assert_same, blocks, decode_in, expected_features
from tests.eventually import eventually
from tests.media import by_name, encode, music

SECONDS = 90.0


def encoded(name, seconds=SECONDS):
    encoding = by_name(name)
    return encode(music(seconds, encoding.rate), encoding)


@pytest.fixture(scope="module")
def webm():
    return encoded("opus-webm")


@pytest.fixture
async def pool():
    pool = DecoderPool(FrontEnd(), size=2, max_duration_s=120, memory_bytes=1 << 30)
    await pool.start()
    yield pool
    await pool.stop()


@pytest.fixture
def at_once(pool, monkeypatch):
    """All of a track is there, and the other decoder's part begun, before the first has started."""
    real = track._answers

    async def both(parts):
        os.kill(parts[0]._decoder._process.pid, signal.SIGCONT)
        return await real(parts)

    async def blocks(content):
        (first,) = (decoder for decoder in pool._all if not decoder.idle)
        os.kill(first._process.pid, signal.SIGSTOP)
        yield content

    monkeypatch.setattr(track, "_answers", both)
    return blocks


async def decode_at_once(pool, at_once, content):
    async with pool.lease() as leased:
        decoded = await leased.decode(at_once(content), lambda seconds: None)
        return decoded.features[: decoded.clips].copy(), decoded


def pids(pool):
    return {decoder._process.pid for decoder in pool._all}


async def is_whole(pool, content):
    """That both decoders take tracks as before."""
    await eventually(lambda: pool._idle.qsize() == 2, 30)
    for _ in range(2):
        features, _ = await decode_in(pool, content)
        assert_same(features, expected_features(content))


@pytest.mark.parametrize(
    "name", ["m4a-index-first", "m4a-index-last", "opus-webm", "opus-ogg", "mp3", "wav-s16"]
)
async def test_features_are_those_of_one_decoder(pool, at_once, name):
    content = encoded(name)
    before = pids(pool)
    heard: list[float] = []
    async with pool.lease() as leased:
        decoded = await leased.decode(at_once(content), heard.append)
        features = decoded.features[: decoded.clips].copy()
    assert decoded.parts == 2
    assert_same(features, expected_features(content))
    assert decoded.duration_s == pytest.approx(SECONDS, abs=0.1)
    assert heard == sorted(heard)
    assert pids(pool) == before


async def test_only_what_is_left_is_shared(pool, webm):
    async def slowly():
        async for block in blocks(webm, 100_000):
            yield block
            await asyncio.sleep(0.03)

    async with pool.lease() as leased:
        decoded = await leased.decode(slowly(), lambda seconds: None)
        assert_same(decoded.features[: decoded.clips], expected_features(webm))


async def test_a_busy_decoder_is_not_waited_for(pool, webm):
    async with pool.lease():
        features, decoded = await decode_in(pool, webm)
    assert decoded.parts == 1
    assert_same(features, expected_features(webm))


async def test_a_short_track_is_not_parted(pool):
    content = encoded("wav-s16", 30.0)
    features, decoded = await decode_in(pool, content, size=1 << 24)
    assert decoded.parts == 1
    assert_same(features, expected_features(content))


def with_a_hole(content):
    at = len(content) // 4
    return content[:at] + bytes(3000) + content[at + 3000 :]


def truncated(content):
    return content[: len(content) * 3 // 10]


@pytest.mark.parametrize("damaged", [with_a_hole, truncated])
@pytest.mark.parametrize("name", ["opus-webm", "m4a-index-first"])
async def test_a_damaged_track_is_decoded_in_one(pool, at_once, name, damaged):
    content = damaged(encoded(name, 118.0))
    features, decoded = await decode_at_once(pool, at_once, content)
    assert decoded.parts == 1
    assert_same(features, expected_features(content))


async def test_a_part_beyond_the_limit_is_too_long(pool, at_once):
    with pytest.raises(TooLong, match="120 s"):
        await decode_at_once(pool, at_once, encoded("mp3", 170.0))


@pytest.mark.parametrize("loud", [slice(0), slice(44_100), slice(-44_100, None)])
async def test_only_what_is_silent_in_all_its_parts_is_silent(pool, at_once, loud):
    samples = np.zeros((2, int(SECONDS * 44_100)), np.float32)
    samples[:, loud] = 0.5
    content = encode(samples, by_name("wav-s16"))
    if loud == slice(0):
        with pytest.raises(Silent):
            await decode_at_once(pool, at_once, content)
    else:
        _, decoded = await decode_at_once(pool, at_once, content)
        assert decoded.parts == 2


async def test_a_decoder_that_hangs_is_not_waited_for(pool, webm):
    async def stopping():
        (other,) = pool._idle._queue
        os.kill(other._process.pid, signal.SIGSTOP)
        yield webm

    async with pool.lease() as leased:
        decoded = await leased.decode(stopping(), lambda seconds: None)
        assert decoded.parts == 1
        assert_same(decoded.features[: decoded.clips], expected_features(webm))
    await is_whole(pool, webm)


async def test_a_decoder_that_dies_before_its_part_is_missed_by_nobody(pool, webm):
    async def killing():
        (other,) = pool._idle._queue
        os.kill(other._process.pid, signal.SIGKILL)
        yield webm

    async with pool.lease() as leased:
        decoded = await leased.decode(killing(), lambda seconds: None)
        assert decoded.parts == 1
        assert_same(decoded.features[: decoded.clips], expected_features(webm))
    await is_whole(pool, webm)


@pytest.mark.parametrize("number", [0, 1])
async def test_a_decoder_that_dies_in_its_part_is_an_error(
    pool, at_once, webm, monkeypatch, number
):
    real = track._answers

    async def killing(parts):
        os.kill(parts[number]._decoder._process.pid, signal.SIGKILL)
        return await real(parts)

    monkeypatch.setattr(track, "_answers", killing)
    with pytest.raises(Internal, match="decoder stopped"):
        await decode_at_once(pool, at_once, webm)
    monkeypatch.setattr(track, "_answers", real)
    await is_whole(pool, webm)


async def test_a_cancelled_track_kills_and_replaces_all_its_decoders(
    pool, at_once, webm, monkeypatch
):
    before = pids(pool)
    real = track._answers
    begun = asyncio.Event()

    async def stopped(parts):
        for part in parts:
            os.kill(part._decoder._process.pid, signal.SIGSTOP)
        begun.set()
        return await asyncio.Event().wait()

    monkeypatch.setattr(track, "_answers", stopped)
    decoding = asyncio.create_task(decode_at_once(pool, at_once, webm))
    await begun.wait()
    decoding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await decoding
    monkeypatch.setattr(track, "_answers", real)
    await is_whole(pool, webm)
    assert not pids(pool) & before
