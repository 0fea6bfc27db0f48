"""Decoder processes: warm, bounded, killed and replaced, never lost."""

import asyncio
import errno
import gc
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
import uvloop

from serve.audio import messages
from serve.audio.decode import decode
from serve.audio.decoder import Lost
from serve.audio.frontend import FrontEnd
from serve.audio.inflow import Inflow
from serve.audio.mel import MelSpectrogram
from serve.audio.pool import DecoderPool
from serve.audio.track import Stalled
from serve.errors import Internal, TooBig, TooLong, TooShort, Undecodable
from serve.workers.refused import ATTEMPTS
from tests.eventually import eventually
from tests.media import Bytes, by_name, encode, music

FRONT_END = FrontEnd()
SONG = encode(music(10.0), by_name("mp3"))


@pytest.fixture
async def pool(others):
    pool = DecoderPool(FRONT_END, size=1, max_duration_s=20, memory_bytes=1 << 30)
    await pool.start()
    yield pool
    await pool.stop()
    assert pool.alive == 0
    assert not decoder_pids()


def decoder_pids():
    """The decoders that have come since the test began: other tests keep some of their own."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):  # a zombie, too, is one
            if "serve.audio.worker" in child.cmdline() and child not in OTHERS:
                found.append(child.pid)
    return found


OTHERS: set[psutil.Process] = set()


@pytest.fixture(autouse=True)
def others():
    OTHERS.clear()
    OTHERS.update(psutil.Process().children())


async def blocks(content, size=5000):
    for at in range(0, len(content), size):
        yield content[at : at + size]


async def endless(content):
    yield content
    await asyncio.Event().wait()


async def decoded_by(track, blocks, on_seconds, **how):
    async with Inflow(blocks, 768 << 20) as inflow:
        return await track.decode(inflow, on_seconds, **how)


async def decode_in(pool, content, on_seconds=lambda seconds: None, size=5000):
    async with pool.lease() as decoder:
        decoded = await decoded_by(decoder, blocks(content, size), on_seconds)
        return decoded.features[: decoded.clips].copy(), decoded


def expected_features(content):
    samples = np.concatenate(list(decode(Bytes(content), FRONT_END.sample_rate)))
    clips = FRONT_END.clips_in(len(samples))
    padded = np.zeros(clips * FRONT_END.clip_samples, np.float32)
    padded[: len(samples)] = samples[: len(padded)]
    return MelSpectrogram(FRONT_END)(padded.reshape(clips, -1))


def assert_same(found, expected):
    """Bit for bit, though BLAS has more threads here than in a decoder."""
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["mp3", "m4a-index-last", "opus-webm"])
async def test_features_come_out_as_if_computed_here(pool, name):
    content = encode(music(10.0, by_name(name).rate), by_name(name))
    features, decoded = await decode_in(pool, content)
    assert_same(features, expected_features(content))
    assert decoded.duration_s == pytest.approx(10.0, abs=0.1)
    assert decoded.decode_s > 0
    assert decoded.mel_s > 0


async def test_one_track_leaves_nothing_to_the_next(pool):
    long, _ = await decode_in(pool, encode(music(15.0), by_name("mp3")))
    short, _ = await decode_in(pool, SONG)
    assert len(long) == 11
    assert_same(short, expected_features(SONG))


async def test_no_track_gets_the_memory_of_another(pool):
    # A decoder that strangers have taken over may keep a track's memory for as long as it runs.
    async with pool.lease() as track:
        kept = (await decoded_by(track, blocks(SONG), lambda seconds: None)).features
    before = kept.copy()
    for seed in range(3):
        await decode_in(pool, encode(music(10.0, seed=seed), by_name("flac")))
    np.testing.assert_array_equal(kept, before)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"no audio " * 20_000, Undecodable),
        (b"", Undecodable),
        (encode(music(0.3), by_name("flac")), TooShort),
        (encode(music(22.0), by_name("wav-s16")), TooLong),
    ],
    ids=["garbage", "empty", "short", "long"],
)
async def test_a_bad_track_is_an_error_and_the_decoder_goes_on(pool, content, error):
    before = decoder_pids()
    with pytest.raises(error):
        await decode_in(pool, content)
    features, _ = await decode_in(pool, SONG)
    assert len(features) == 7
    assert decoder_pids() == before


async def test_a_long_track_is_refused_before_it_has_arrived(pool):
    content = encode(music(22.0), by_name("wav-s16"))
    with pytest.raises(TooLong):
        async with asyncio.timeout(10), pool.lease() as decoder:
            await decoded_by(decoder, endless(content), lambda seconds: None)
    assert len((await decode_in(pool, SONG))[0]) == 7


async def test_progress_is_told(pool):
    heard: list[float] = []

    async def slow():
        async for block in blocks(SONG, 20_000):
            yield block
            await asyncio.sleep(0.12)

    async with pool.lease() as decoder:
        await decoded_by(decoder, slow(), heard.append)
    assert heard == sorted(heard)
    assert 0 < heard[0] < heard[-1] <= 10.1


async def test_a_few_bytes_now_and_then_keep_no_decoder(pool):
    async def dripping():
        yield SONG[:-1000]
        while True:
            await asyncio.sleep(0.05)
            yield b"x"

    async with asyncio.timeout(10), pool.lease() as track, Inflow(dripping(), 1 << 20) as inflow:
        with pytest.raises(Stalled):
            await track.decode(inflow, lambda seconds: None, idle_s=0.3)
    assert len((await decode_in(pool, SONG))[0]) == 7


async def test_a_decoder_is_busy_while_it_has_all_that_it_works_on(pool):
    (pid,) = decoder_pids()
    ended = asyncio.Event()

    async def slow():
        yield SONG
        await ended.wait()
        os.kill(pid, signal.SIGSTOP)

    async with pool.lease() as decoder:
        working = asyncio.create_task(decoded_by(decoder, slow(), lambda seconds: None))
        await eventually(lambda: pool.idle == 0)
        assert pool.busy == 0
        ended.set()
        await eventually(lambda: pool.busy == 1)
        os.kill(pid, signal.SIGCONT)
        await working
        assert pool.busy == 0
    assert len((await decode_in(pool, SONG))[0]) == 7
    assert pool.busy == 0


def test_a_decoder_that_is_ended_in_a_track_is_lost_on_the_servers_loop_too():
    """uvloop raises RuntimeError where what has been closed is used."""

    async def work():
        pool = DecoderPool(FRONT_END, size=1, max_duration_s=20, memory_bytes=1 << 30)
        await pool.start()
        try:
            async with pool.lease() as track:
                (decoder,) = pool._all
                await decoder.kill()
                with pytest.raises(Lost):
                    await decoded_by(track, blocks(SONG), lambda seconds: None)
            assert len((await decode_in(pool, SONG))[0]) == 7
        finally:
            await pool.stop()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work())


async def test_no_decoder_is_lost_to_who_leaves_while_it_is_looked_at(pool):
    for turns in range(12):
        asking = asyncio.ensure_future(pool.lease().__aenter__())
        for _ in range(turns):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        async with asyncio.timeout(20), pool.lease():
            pass


async def test_the_load_counts_who_waits(pool):
    async with pool.lease():
        assert pool.load == 0  # nothing is worked on yet, as while bytes arrive
        waiting = [asyncio.ensure_future(pool.lease().__aenter__()) for _ in range(3)]
        await eventually(lambda: pool.load == 3)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert pool.load == 0


async def test_a_cancelled_track_kills_and_replaces_its_decoder(pool):
    (before,) = decoder_pids()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2), pool.lease() as decoder:
            await decoded_by(decoder, endless(SONG), lambda seconds: None)
    assert len((await decode_in(pool, SONG))[0]) == 7
    assert before not in decoder_pids()
    assert pool.alive == 1


async def test_a_source_that_fails_is_the_error(pool):
    async def failing():
        yield SONG[:1000]
        raise TooLong("by the source")

    with pytest.raises(TooLong, match="by the source"):
        async with pool.lease() as decoder:
            await decoded_by(decoder, failing(), lambda seconds: None)
    assert len((await decode_in(pool, SONG))[0]) == 7


async def test_a_decoder_killed_in_a_track_is_an_error_at_once(pool):
    (pid,) = decoder_pids()

    async def deadly():
        yield SONG[:1000]
        os.kill(pid, signal.SIGKILL)
        await asyncio.Event().wait()

    with pytest.raises(Lost, match="decoder stopped") as failure:
        async with asyncio.timeout(10), pool.lease() as decoder:
            await decoded_by(decoder, deadly(), lambda seconds: None)
    assert failure.value.retryable
    assert len((await decode_in(pool, SONG))[0]) == 7


async def test_a_decoder_killed_while_idle_is_replaced(pool):
    (pid,) = decoder_pids()
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: pool.alive == 0)
    assert pool.ready, "the next is coming up"
    # Nobody has to ask for it.
    await eventually(lambda: pool.alive == 1)
    assert pool.idle == 1
    assert pid not in decoder_pids()
    assert len((await decode_in(pool, SONG))[0]) == 7


async def test_memory_of_decoders_that_are_killed_is_given_back(pool):
    def descriptors():
        return len(list(Path("/proc/self/fd").iterdir()))

    before = descriptors()
    gc.disable()  # what only the collector frees may stay for long
    try:
        for _ in range(3):
            (pid,) = decoder_pids()
            os.kill(pid, signal.SIGKILL)
            await eventually(lambda: pool.idle == 1 and decoder_pids() not in ([], [pid]))  # noqa: B023
        assert descriptors() <= before
    finally:
        gc.enable()


async def test_memory_is_bounded():
    async def more_than_fits():
        for _ in range(1000):
            yield bytes(1 << 20)

    pool = DecoderPool(FRONT_END, size=1, max_duration_s=20, memory_bytes=768 << 20)
    await pool.start()
    try:
        with pytest.raises(TooBig, match="memory"):
            async with pool.lease() as decoder:
                await decoded_by(decoder, more_than_fits(), lambda seconds: None)
        assert len((await decode_in(pool, SONG))[0]) == 7
    finally:
        await pool.stop()


async def test_a_decoder_that_runs_in_circles_is_ended(caplog):
    pool = DecoderPool(FRONT_END, size=1, max_duration_s=120, memory_bytes=1 << 30, cpu_s=0.02)
    await pool.start()
    try:
        (before,) = decoder_pids()
        with pytest.raises(Undecodable, match="too long"):
            await decode_in(pool, encode(music(110.0), by_name("mp3")), size=1 << 24)
        assert f"ended during a track with code {-signal.SIGPROF}" in caplog.text
        await eventually(lambda: pool.alive == 1)
        assert before not in decoder_pids()
    finally:
        await pool.stop()


async def test_decoders_tell_what_they_are_refused(pool):
    assert pool.confinement is not None
    assert set(pool.confinement["refused"]) == set(ATTEMPTS)
    assert pool.confinement["limits"]["address_space"] == 1 << 30


async def test_a_decoder_that_can_not_start_is_an_error(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    pool = DecoderPool(FRONT_END, size=2, max_duration_s=20, memory_bytes=1 << 30)
    with pytest.raises(Internal, match="did not start"):
        await pool.start()
    assert not decoder_pids()


async def test_a_decoder_that_can_not_be_replaced_is_tried_again(pool, monkeypatch, caplog):
    real = sys.executable
    monkeypatch.setattr(sys, "executable", "/bin/false")
    (pid,) = decoder_pids()
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: pool.alive == 0)
    waiting = asyncio.create_task(decode_in(pool, SONG))
    await eventually(lambda: "Trying again" in caplog.text)
    assert not pool.ready
    monkeypatch.setattr(sys, "executable", real)
    features, _ = await waiting
    assert len(features) == 7
    assert pool.ready


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EAGAIN, errno.ENOMEM, errno.ENOSPC])
@pytest.mark.parametrize("what", ["socket.socketpair", "asyncio.create_subprocess_exec"])
async def test_a_keeper_outlives_whatever_there_is_none_of(pool, monkeypatch, caplog, what, number):
    def none_left(*_, **__):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(what, none_left)
        os.kill(decoder_pids()[0], signal.SIGKILL)
        await eventually(lambda: "Trying again" in caplog.text)
        assert not pool.ready
    await eventually(lambda: pool.alive == 1)
    assert pool.ready
    assert len((await decode_in(pool, SONG))[0]) == 7


async def test_a_keeper_outlives_an_end_that_fails(pool, monkeypatch, caplog):
    def fail():
        raise OSError(errno.EIO, "broken")

    (decoder,) = pool._all
    monkeypatch.setattr(decoder._stderr, "close", fail)
    os.kill(decoder_pids()[0], signal.SIGKILL)
    await eventually(lambda: decoder not in pool._all and pool.idle == 1)
    assert "not everything of it" in caplog.text
    assert len((await decode_in(pool, SONG))[0]) == 7
    decoder._stderr._end()


@pytest.mark.parametrize("when", ["with its answer", "while it is idle"])
async def test_a_decoder_that_speaks_out_of_turn_is_replaced(pool, when):
    """The answer that it has ready for the next track does not become that track's."""
    (decoder,) = pool._all
    forged = {"clips": 1, "duration_s": 1.4, "decode_s": 0, "mel_s": 0}

    def say_more():
        answer = messages.pack(messages.DONE, lease=decoder._lease, silent=False, **forged)
        decoder._reader.feed_data(answer)

    async with pool.lease() as track:
        give_back = track._when_decoded

        async def when_decoded():
            if when == "with its answer":
                say_more()
            await give_back()

        track._when_decoded = when_decoded
        await decoded_by(track, blocks(SONG), lambda seconds: None)
    if when == "while it is idle":
        say_more()
    assert len((await decode_in(pool, SONG))[0]) == 7, "another decoder did it"
    assert decoder not in pool._all


async def test_what_a_decoder_writes_to_standard_error_is_quoted_and_bounded(monkeypatch, caplog):
    program = "import sys; sys.stderr.write('\\x1b[2Jforged\\n' * 10_000)"
    real = asyncio.create_subprocess_exec

    async def writing(executable, *_, **options):
        return await real(executable, "-c", program, **options)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", writing)
    pool = DecoderPool(FRONT_END, size=1, max_duration_s=20, memory_bytes=1 << 30)
    with pytest.raises(Internal):
        await pool.start()
    said = [record.getMessage() for record in caplog.records if "says" in record.getMessage()]
    assert said
    assert "\x1b" not in "".join(said)
    assert "\n" not in "".join(said)
    assert sum(map(len, said)) < 3 * (1 << 13)


async def test_decoders_end_with_their_server(tmp_path):
    program = (
        "import asyncio, os, sys\n"
        "from serve.audio.frontend import FrontEnd\n"
        "from serve.audio.pool import DecoderPool\n"
        "async def main():\n"
        "    pool = DecoderPool(FrontEnd(), size=2, max_duration_s=20, memory_bytes=1 << 30)\n"
        "    await pool.start()\n"
        "    print(*(d._process.pid for d in pool._all), flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE
    )
    pids = [int(pid) for pid in (await process.stdout.readline()).split()]
    assert len(pids) == 2
    assert all(map(psutil.pid_exists, pids))
    process.kill()
    await process.communicate()
    await eventually(lambda: not any(map(psutil.pid_exists, pids)))
