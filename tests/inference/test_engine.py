import asyncio
import threading

import numpy as np
import pytest

from serve.errors import Internal, NotReady, Overloaded
from serve.inference.engine import Engine
from serve.inference.queue import FairQueue
from serve.inference.runner import Runner
from serve.inference.session import load_model
from serve.settings import MODELS
from tests.eventually import eventually
from tests.models import write_model
from tests.outputs import assert_close

MAX_CLIPS, SHARE = 40, 16


class Recorded(Runner):
    """Notes each call, waits until the test lets it through, and may fail."""

    def __init__(self, model, largest=MAX_CLIPS):
        super().__init__(model, largest)
        self.batches = []
        self.free = True
        self.failure = None
        self.check = lambda mel: None
        self._turns = threading.Semaphore(0)

    def run(self, mel):
        self.batches.append(mel)
        if not self.free:
            assert self._turns.acquire(timeout=30)
        self.check(mel)
        if self.failure:
            raise self.failure
        return super().run(mel)

    def release(self, calls=1):
        self._turns.release(calls)

    @property
    def sizes(self):
        return [len(batch) for batch in self.batches]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_model(write_model(tmp_path_factory.mktemp("model") / "tiny.onnx"), "cpu")


@pytest.fixture
def recorded(model):
    return Recorded(model)


@pytest.fixture
def engine(recorded):
    engine = Engine(recorded, queue_size=20, share=SHARE)
    engine.start()
    recorded.batches.clear()
    yield engine
    recorded.free = True
    recorded.release(100)
    engine.stop()
    assert not engine.alive


async def held_up(engine, recorded, shape=(16, 128)):
    """A call that runs until the test releases it."""
    recorded.free = False
    running = asyncio.create_task(engine.predict(clips(1, shape=shape), 1))
    await eventually(lambda: recorded.sizes[-1:] == [1])
    return running


async def waiting(engine, *lengths):
    """A task for each length, in this order in the queue."""
    before = engine.waiting
    # Tasks begin in the order in which they were made.
    tasks = [
        asyncio.create_task(engine.predict(clips(n, seed), n)) for seed, n in enumerate(lengths)
    ]
    await eventually(lambda: engine.waiting == before + len(lengths))
    return tasks


async def calls_made(recorded, n):
    await eventually(lambda: len(recorded.sizes) == n)


def clips(n, seed=0, shape=(16, 128)):
    return np.random.default_rng(seed).random((n, *shape), np.float32)


@pytest.mark.parametrize("n", [1, 7, 22, 40])
async def test_a_track_is_one_call(engine, recorded, model, n):
    mel = clips(n)
    prediction = await engine.predict(mel, n)
    assert recorded.sizes == [n]
    assert np.shares_memory(recorded.batches[0], mel)  # not copied
    assert_close(prediction.clips, model.run(mel))
    assert prediction.waited_s >= 0
    assert prediction.ran_s > 0


async def test_the_size_of_each_call_is_told(recorded):
    sizes: list[int] = []
    engine = Engine(recorded, queue_size=1, share=SHARE, on_call=sizes.append)
    engine.start()
    for n in (3, 5):
        await engine.predict(clips(n), n)
    engine.stop()
    assert sizes == [3, 5]


async def test_an_idle_engine_waits_for_nobody(engine, recorded):
    for n in (1, 2, 3):
        await engine.predict(clips(n), n)
    assert recorded.sizes == [1, 2, 3]


async def test_tracks_that_waited_share_a_call(engine, recorded, model):
    running = await held_up(engine, recorded)
    tasks = await waiting(engine, 5, 2, 9, 1)
    recorded.release(3)
    await running
    predictions = await asyncio.gather(*tasks)
    assert recorded.sizes == [1, 8, 9]  # 1 + 2 + 5, for with 9 it were more than may share
    for seed, (n, prediction) in enumerate(zip((5, 2, 9, 1), predictions, strict=True)):
        expected = model.run(clips(n, seed=seed))
        assert_close(prediction.clips, expected)


async def test_a_long_track_is_never_split(engine, recorded):
    running = await held_up(engine, recorded)
    (long, short) = await waiting(engine, MAX_CLIPS, 2)
    recorded.release(3)
    await asyncio.gather(running, long, short)
    assert recorded.sizes == [1, 2, MAX_CLIPS]


async def test_a_short_track_does_not_wait_behind_ten_long_ones(engine, recorded):
    running = await held_up(engine, recorded)
    long = await waiting(engine, *[MAX_CLIPS] * 10)
    # The worst moment for it: those that came in between have used up the oldest one's patience.
    for call in range(FairQueue.PATIENCE):
        (between,) = await waiting(engine, SHARE)
        recorded.release()
        await calls_made(recorded, call + 2)
    (short,) = await waiting(engine, 2)
    recorded.release()  # the last one between
    await asyncio.gather(running, between)
    await calls_made(recorded, FairQueue.PATIENCE + 2)
    assert recorded.sizes[-2:] == [SHARE, MAX_CLIPS]  # the oldest one's turn
    recorded.release(2)
    assert len((await short).clips) == 2
    assert sum(task.done() for task in long) == 1
    recorded.release(10)
    await asyncio.gather(*long)


async def test_a_long_track_has_its_turn_however_many_short_ones_come(engine, recorded):
    running = await held_up(engine, recorded)
    (long,) = await waiting(engine, MAX_CLIPS)
    shorts = []
    for call in range(FairQueue.PATIENCE + 1):
        shorts += await waiting(engine, SHARE)
        recorded.release()
        await calls_made(recorded, call + 2)
    assert recorded.sizes == [1, *[SHARE] * FairQueue.PATIENCE, MAX_CLIPS]
    recorded.release(2)
    await asyncio.gather(running, long, *shorts)


async def test_company_changes_no_result_of_the_shipped_model():
    model = load_model(MODELS / "topgenre.onnx", "cpu")
    recorded = Recorded(model)
    engine = Engine(recorded, queue_size=8, share=MAX_CLIPS)
    engine.start()
    tracks = [clips(n, n, model.clip_shape) for n in (3, 7, 21)]
    alone = [(await engine.predict(mel, len(mel))).clips for mel in tracks]
    recorded.batches.clear()
    running = await held_up(engine, recorded, model.clip_shape)
    tasks = [asyncio.create_task(engine.predict(mel, len(mel))) for mel in tracks]
    await eventually(lambda: engine.waiting == 3)
    recorded.release(2)
    together = [prediction.clips for prediction in await asyncio.gather(*tasks)]
    await running
    engine.stop()
    assert recorded.sizes == [1, 31]
    for one, other in zip(alone, together, strict=True):
        assert_close(one, other)


async def test_a_full_queue_refuses_at_once(engine, recorded):
    running = await held_up(engine, recorded)
    tasks = await waiting(engine, *[1] * 20)
    with pytest.raises(Overloaded) as refused:
        await engine.predict(clips(1), 1)
    assert refused.value.retry_after_s == 1.0
    recorded.release(10)
    for task in (running, *tasks):
        assert len((await task).clips) == 1


async def test_a_cancelled_track_leaves_the_queue(engine, recorded):
    running = await held_up(engine, recorded)
    (cancelled,) = await waiting(engine, 2)
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    assert engine.waiting == 0
    running.cancel()  # while it runs: its result has nowhere to go, and nothing breaks
    recorded.release(2)
    assert len((await engine.predict(clips(3), 3)).clips) == 3
    assert recorded.sizes == [1, 3]


async def test_a_call_that_fails_is_tried_once_more_in_smaller_ones(
    engine, recorded, model, caplog
):
    def scarce(mel):
        if len(mel) > 10:
            raise RuntimeError("out of memory")

    recorded.check = scarce
    running = await held_up(engine, recorded)
    tasks = await waiting(engine, 5, 11)
    recorded.free = True
    recorded.release()
    await running
    for seed, (n, task) in enumerate(zip((5, 11), tasks, strict=True)):
        expected = model.run(clips(n, seed=seed))
        assert_close((await task).clips, expected)
    assert recorded.sizes == [1, 16, 4, 1, 4, 4, 3]
    assert "out of memory" in caplog.text
    assert engine.alive
    assert not engine.failed


async def test_a_lost_device_is_the_end_of_it(engine, recorded, caplog):
    running = await held_up(engine, recorded)
    tasks = await waiting(engine, 1, 2, SHARE)
    recorded.failure = RuntimeError("the device is lost")
    recorded.free = True
    recorded.release()
    for task in (running, *tasks):
        with pytest.raises(Internal, match="model failed"):
            await task
    assert recorded.sizes == [1, 1]  # once, and once more
    await eventually(lambda: engine.failed)
    assert not engine.alive
    with pytest.raises(NotReady):
        await engine.predict(clips(1), 1)
    assert "can't run any more" in caplog.text


async def test_a_thread_that_dies_goes_on_once(engine, recorded, caplog):
    deaths = [SystemExit("first"), SystemExit("second")]

    def die(mel):
        if len(mel) == 3 and deaths:
            raise deaths.pop(0)

    recorded.check = die
    with pytest.raises(Internal, match="model failed"):
        await engine.predict(clips(3), 3)
    assert "the inference thread died" in caplog.text
    assert engine.alive
    assert len((await engine.predict(clips(2), 2)).clips) == 2
    running = await held_up(engine, recorded)
    dying, waited = await waiting(engine, 3, MAX_CLIPS)
    recorded.free = True
    recorded.release()
    await running
    for task in (dying, waited):
        with pytest.raises(Internal, match="model failed"):
            await task
    await eventually(lambda: engine.failed)
    assert not engine.alive
    with pytest.raises(NotReady):
        await engine.predict(clips(1), 1)


async def test_a_call_that_never_ends_is_not_alive(recorded):
    engine = Engine(recorded, queue_size=1, share=SHARE, stall_s=0.05)
    engine.start()
    recorded.batches.clear()
    assert engine.alive
    running = await held_up(engine, recorded)
    await eventually(lambda: not engine.alive)
    recorded.free = True
    recorded.release()
    await running
    await eventually(lambda: engine.alive)
    engine.stop()


def test_a_model_that_can_not_be_warmed_stops_the_start(recorded):
    recorded.failure = RuntimeError("out of memory")
    engine = Engine(recorded, queue_size=2, share=SHARE)
    with pytest.raises(RuntimeError, match="out of memory"):
        engine.start()
    engine.stop()
    assert not engine.alive


async def test_too_many_clips_are_an_error(engine):
    with pytest.raises(Internal, match="41 clips"):
        await engine.predict(clips(MAX_CLIPS + 1), MAX_CLIPS + 1)


async def test_a_stopped_engine_takes_nothing(recorded):
    engine = Engine(recorded, queue_size=1, share=SHARE)
    with pytest.raises(NotReady):
        await engine.predict(clips(1), 1)
    engine.start()
    engine.stop()
    with pytest.raises(NotReady):
        await engine.predict(clips(1), 1)


async def test_stopping_finishes_what_waits(engine, recorded):
    running = await held_up(engine, recorded)
    tasks = await waiting(engine, SHARE, SHARE)
    stopping = asyncio.create_task(asyncio.to_thread(engine.stop))
    recorded.release(3)
    await stopping
    assert [len((await task).clips) for task in (running, *tasks)] == [1, SHARE, SHARE]


def test_a_result_for_a_closed_loop_is_dropped(engine, recorded):
    async def abandon():
        (await held_up(engine, recorded)).cancel()

    asyncio.run(abandon())
    recorded.release(2)
    assert len(asyncio.run(engine.predict(clips(1), 1)).clips) == 1
