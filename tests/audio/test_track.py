"""A track in several decoders: the same features, and nothing left behind."""

import asyncio
import os
import signal
from contextlib import AsyncExitStack, suppress

import numpy as np
import pytest

from serve.audio import messages, track
from serve.audio.decoder import Lost
from serve.audio.frontend import FrontEnd
from serve.audio.pool import DecoderPool
from serve.errors import Silent, TooLong, Undecodable
from tests.audio.test_pool import assert_same, blocks, decode_in, decoded_by, expected_features
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
        with suppress(ProcessLookupError):  # a test may have killed it
            os.kill(parts[0].decoder._process.pid, signal.SIGCONT)
        return await real(parts)

    async def blocks(content):
        (first,) = (decoder for decoder in pool._all if not decoder.idle)
        os.kill(first._process.pid, signal.SIGSTOP)
        yield content

    monkeypatch.setattr(track, "_answers", both)
    return blocks


async def decode_at_once(pool, at_once, content):
    async with pool.lease() as leased:
        decoded = await decoded_by(leased, at_once(content), lambda seconds: None)
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
        decoded = await decoded_by(leased, at_once(content), heard.append)
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
        decoded = await decoded_by(leased, slowly(), lambda seconds: None)
        assert_same(decoded.features[: decoded.clips], expected_features(webm))


async def test_what_has_just_begun_is_shared(pool, at_once, webm):
    begun = asyncio.Event()

    async def in_two():
        # Of what is read for the first seconds, most is not decoded yet.
        yield webm[:300_000]
        await begun.wait()
        async for rest in at_once(webm[300_000:]):
            yield rest

    async with pool.lease() as leased:
        decoded = await decoded_by(leased, in_two(), lambda seconds: begun.set())
        assert_same(decoded.features[: decoded.clips], expected_features(webm))
    assert decoded.parts == 2


async def test_what_has_kept_pace_is_left_to_one_decoder(pool, webm):
    told = asyncio.Event()
    seconds = 0.0

    def tell(done):
        nonlocal seconds
        seconds = done
        told.set()

    async def no_faster_than_it_is_decoded():
        given = 0.0
        async for block in blocks(webm, 100_000):
            yield block
            given += SECONDS * len(block) / len(webm)
            await asyncio.sleep(0.12)  # progress is told of ten times a second
            while seconds < given - 30:
                told.clear()
                await told.wait()

    before = pids(pool)
    async with pool.lease() as leased:
        (other,) = (decoder for decoder in pool._all if decoder is not leased._first)
        # Who is lent now does nothing, and is killed for it in the end.
        os.kill(other._process.pid, signal.SIGSTOP)
        decoded = await decoded_by(leased, no_faster_than_it_is_decoded(), tell)
        os.kill(other._process.pid, signal.SIGCONT)
        assert_same(decoded.features[: decoded.clips], expected_features(webm))
    assert decoded.parts == 1
    assert pids(pool) == before


async def test_decoders_go_on_while_tracks_are_not_done_with(pool):
    contents = [encode(music(10.0, seed=seed), by_name("flac")) for seed in range(4)]
    async with AsyncExitStack() as held:
        tracks = []
        for content in contents:
            leased = await held.enter_async_context(pool.lease())
            tracks.append(await decoded_by(leased, blocks(content), lambda seconds: None))
            assert pool.idle == 2
        for decoded, content in zip(tracks, contents, strict=True):
            assert_same(decoded.features[: decoded.clips], expected_features(content))
        # There is no memory for more of them.
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2), pool.lease():
                pass
    async with asyncio.timeout(10), pool.lease():
        pass


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
    with pytest.raises(TooLong, match="2 min"):
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
        decoded = await decoded_by(leased, stopping(), lambda seconds: None)
        assert decoded.parts == 1
        assert_same(decoded.features[: decoded.clips], expected_features(webm))
    await is_whole(pool, webm)


async def test_a_decoder_that_dies_before_its_part_is_missed_by_nobody(pool, webm):
    async def killing():
        (other,) = pool._idle._queue
        os.kill(other._process.pid, signal.SIGKILL)
        yield webm

    async with pool.lease() as leased:
        decoded = await decoded_by(leased, killing(), lambda seconds: None)
        assert decoded.parts == 1
        assert_same(decoded.features[: decoded.clips], expected_features(webm))
    await is_whole(pool, webm)


@pytest.fixture
def at_joints(monkeypatch):
    """Something happens when all joints are laid, before any part has come to its end."""
    real = track._answers

    def do(happening):
        async def answers(parts):
            monkeypatch.setattr(track, "_answers", real)  # only once
            happening(parts)
            with suppress(ProcessLookupError):
                os.kill(parts[0].decoder._process.pid, signal.SIGCONT)
            return await real(parts)

        monkeypatch.setattr(track, "_answers", answers)

    return do


def killing(number, how):
    def kill(parts):
        os.kill(parts[number].decoder._process.pid, how)

    return kill


async def test_the_first_decoder_s_death_is_an_error_at_once(pool, at_once, at_joints, webm):
    at_joints(killing(0, signal.SIGKILL))
    with pytest.raises(Lost, match="decoder stopped"):
        await decode_at_once(pool, at_once, webm)
    await is_whole(pool, webm)


@pytest.mark.parametrize("name", ["opus-webm", "mp3", "m4a-index-first"])
async def test_a_part_whose_decoder_dies_is_decoded_again(pool, at_once, at_joints, caplog, name):
    content = encoded(name)
    at_joints(killing(1, signal.SIGKILL))
    features, decoded = await decode_at_once(pool, at_once, content)
    assert decoded.parts == 2
    assert "part 1 of a track is decoded again" in caplog.text
    assert_same(features, expected_features(content))
    await is_whole(pool, content)


async def test_a_middle_part_is_decoded_again_up_to_the_next_joint(at_joints, monkeypatch):
    content = encoded("mp3", 170.0)
    pool = DecoderPool(FrontEnd(), size=3, max_duration_s=180, memory_bytes=1 << 30)
    await pool.start()
    at_joints(killing(1, signal.SIGKILL))

    async def at_once():
        (first,) = (decoder for decoder in pool._all if not decoder.idle)
        os.kill(first._process.pid, signal.SIGSTOP)
        yield content

    try:
        async with pool.lease() as leased:
            decoded = await decoded_by(leased, at_once(), lambda seconds: None)
            assert decoded.parts == 3
            assert_same(decoded.features[: decoded.clips], expected_features(content))
    finally:
        await pool.stop()


async def test_a_part_that_is_lost_again_is_an_error(pool, at_once, at_joints, webm, monkeypatch):
    at_joints(killing(1, signal.SIGKILL))
    real = track._begin_again

    async def begin_again(parts, number):
        await real(parts, number)
        os.kill(parts[0].decoder._process.pid, signal.SIGKILL)

    monkeypatch.setattr(track, "_begin_again", begin_again)
    with pytest.raises(Lost, match="decoder stopped"):
        await decode_at_once(pool, at_once, webm)
    monkeypatch.undo()
    await is_whole(pool, webm)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("how", [signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGSYS])
async def test_a_crash_by_the_file_is_its_own_fault(
    pool, at_once, at_joints, webm, caplog, number, how
):
    at_joints(killing(number, how))
    with pytest.raises(Undecodable):
        await decode_at_once(pool, at_once, webm)
    assert "decoded again" not in caplog.text
    await eventually(lambda: pool.alive == 2)


LEASE = b"the lease at hand"
DONE = {
    "clips": 1,
    "duration_s": 1,
    "decode_s": 0,
    "mel_s": 0,
    "silent": False,
    "joined": False,
    "lost_s": 0,
    "stated_s": 0,
    "cancelling": False,
    "cancelled_s": 0.0,
}


def pack(kind, **values):
    return messages.pack(kind, lease=LEASE.decode(), **values)


NONSENSE = {
    "not a message": b"?" * 100,
    "deep JSON": b"p\0\0\x9c\x40" + b"[" * 40_000,
    "a list": b"p\0\0\0\2[]",
    "seconds that are none": pack(messages.PROGRESS, seconds=float("nan")),
    "an error without a code": pack(messages.FAILED),
    "too many clips": pack(messages.DONE, **DONE | {"clips": 10**9}),
    "half a clip": pack(messages.DONE, **DONE | {"clips": 0.5}),
    "endless loss": pack(messages.DONE, **DONE | {"lost_s": 1e999}),
    "endless audio": pack(messages.DONE, **DONE | {"duration_s": 1e999}),
    "a joint of words": pack(messages.JOINT, sample="", time=0, digest=[]),
    "parted twice": pack(messages.PARTED) * 2,
    "unknown kind": pack(b"!"),
    "the answer of another track": messages.pack(messages.DONE, lease="0" * 16, **DONE),
    "an answer of no track": messages.pack(messages.DONE, **DONE),
}


@pytest.mark.parametrize("said", NONSENSE)
async def test_a_decoder_that_talks_nonsense_is_replaced(pool, webm, said):
    async def and_says(content):
        (first,) = (decoder for decoder in pool._all if not decoder.idle)
        os.kill(first._process.pid, signal.SIGSTOP)
        yield content[:1000]
        first._lease = LEASE.decode()
        first._reader.feed_data(NONSENSE[said])
        if said != "too many clips":  # which is a word, and ends what it is said of
            await asyncio.Event().wait()

    before = pids(pool)
    with pytest.raises(Lost):
        async with asyncio.timeout(20), pool.lease() as leased:
            await decoded_by(leased, and_says(webm), lambda seconds: None)
    if said != "too many clips":
        await eventually(lambda: before != pids(pool) and pool.alive == 2, 30)


async def test_a_cancelled_track_kills_and_replaces_all_its_decoders(
    pool, at_once, webm, monkeypatch
):
    before = pids(pool)
    real = track._answers
    begun = asyncio.Event()

    async def stopped(parts):
        for part in parts:
            os.kill(part.decoder._process.pid, signal.SIGSTOP)
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
