import asyncio
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.errors import Internal, NotReady, Overloaded
from serve.inference.buckets import bucket_for, bucket_sizes
from serve.inference.engine import Engine
from serve.inference.session import load_model
from tests.eventually import eventually
from tests.models import write_model

MAX_CLIPS = 40


class Recorded:
    """A model that notes each call, and may be held up or fail."""

    def __init__(self, model):
        self._model = model
        self.clip_shape = model.clip_shape
        self.card = model.card
        self.batches = []
        self.calls = []
        self.gate = threading.Event()
        self.gate.set()
        self.failure = None

    def run(self, mel):
        self.gate.wait(10)
        self.batches.append(mel)
        if self.failure:
            raise self.failure
        return self._model.run(mel)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_model(write_model(tmp_path_factory.mktemp("model") / "tiny.onnx"), "cpu")


@pytest.fixture
def recorded(model):
    return Recorded(model)


@pytest.fixture
def engine(recorded):
    engine = Engine(recorded, max_clips=MAX_CLIPS, queue_size=2, on_call=recorded.calls.append)
    engine.start()
    recorded.batches.clear()
    yield engine
    recorded.gate.set()
    engine.stop()
    assert not engine.alive


def clips(n, seed=0):
    return np.random.default_rng(seed).random((n, 16, 128), np.float32)


def test_every_bucket_is_warmed_before_work(recorded):
    engine = Engine(recorded, max_clips=MAX_CLIPS, queue_size=2)
    engine.start()
    assert [len(batch) for batch in recorded.batches] == list(engine.buckets)
    assert engine.buckets[0] == 1
    assert engine.buckets[-1] == MAX_CLIPS
    engine.stop()


@pytest.mark.parametrize("n", [1, 7, 22, 40])
async def test_a_track_is_one_call(engine, recorded, model, n):
    mel = clips(n)
    prediction = await engine.predict(mel, n)
    assert recorded.calls == [bucket_for(n, engine.buckets)]
    assert len(recorded.batches) == 1
    np.testing.assert_allclose(prediction.probabilities, model.run(mel), atol=1e-6)
    assert prediction.waited_s >= 0
    assert prediction.ran_s > 0


async def test_rows_to_spare_are_the_padding(engine, recorded, model):
    mel = clips(MAX_CLIPS)
    prediction = await engine.predict(mel, 23)
    assert len(prediction.probabilities) == 23
    assert np.shares_memory(recorded.batches[0], mel)
    np.testing.assert_allclose(prediction.probabilities, model.run(mel[:23]), atol=1e-6)


async def test_a_full_queue_refuses_at_once(engine, recorded):
    recorded.gate.clear()
    running = asyncio.create_task(engine.predict(clips(1), 1))
    await eventually(lambda: recorded.calls)
    waiting = [asyncio.create_task(engine.predict(clips(1), 1)) for _ in range(2)]
    await eventually(lambda: engine.waiting == 2)
    with pytest.raises(Overloaded) as refused:
        await engine.predict(clips(1), 1)
    assert refused.value.retry_after_s == 1.0
    recorded.gate.set()
    for task in (running, *waiting):
        assert len((await task).probabilities) == 1


async def test_a_cancelled_track_is_not_computed(engine, recorded):
    recorded.gate.clear()
    running = asyncio.create_task(engine.predict(clips(1), 1))
    await eventually(lambda: recorded.calls)
    cancelled = asyncio.create_task(engine.predict(clips(2), 2))
    await eventually(lambda: engine.waiting == 1)
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    running.cancel()  # while it runs: its result has nowhere to go, and nothing breaks
    recorded.gate.set()
    assert len((await engine.predict(clips(3), 3)).probabilities) == 3
    assert [len(batch) for batch in recorded.batches] == [1, 3]


async def test_a_failing_model_fails_one_track(engine, recorded, caplog):
    recorded.failure = RuntimeError("out of memory")
    with pytest.raises(Internal, match="model failed"):
        await engine.predict(clips(1), 1)
    assert "out of memory" in caplog.text
    recorded.failure = None
    assert engine.alive
    await engine.predict(clips(1), 1)


async def test_too_many_clips_are_an_error(engine):
    with pytest.raises(Internal):
        await engine.predict(clips(MAX_CLIPS + 1), MAX_CLIPS + 1)


async def test_a_stopped_engine_takes_nothing(recorded):
    engine = Engine(recorded, max_clips=2, queue_size=1)
    with pytest.raises(NotReady):
        await engine.predict(clips(1), 1)
    engine.start()
    engine.stop()
    with pytest.raises(NotReady):
        await engine.predict(clips(1), 1)


async def test_stopping_finishes_what_waits(recorded):
    engine = Engine(recorded, max_clips=2, queue_size=4)
    engine.start()
    recorded.gate.clear()
    waiting = [asyncio.create_task(engine.predict(clips(1), 1)) for _ in range(3)]
    await eventually(lambda: engine.waiting >= 2)
    stopping = asyncio.create_task(asyncio.to_thread(engine.stop))
    recorded.gate.set()
    await stopping
    assert [len((await task).probabilities) for task in waiting] == [1, 1, 1]


def test_a_result_for_a_closed_loop_is_dropped(engine, recorded):
    async def abandon():
        task = asyncio.create_task(engine.predict(clips(1), 1))
        await eventually(lambda: recorded.calls)
        task.cancel()

    recorded.gate.clear()
    asyncio.run(abandon())
    recorded.gate.set()
    assert len(asyncio.run(engine.predict(clips(1), 1)).probabilities) == 1


@given(st.integers(1, 2000))
def test_buckets_hold_everything_and_waste_little(largest):
    sizes = bucket_sizes(largest)
    assert list(sizes) == sorted(set(sizes))
    assert sizes[-1] == largest
    for clips_ in {1, largest, max(1, largest // 3), max(1, largest - 1)}:
        bucket = bucket_for(clips_, sizes)
        assert clips_ <= bucket <= max(clips_ + 1, 1.25 * clips_ + 1)
    assert len(sizes) < 40


def test_no_bucket_for_too_many():
    with pytest.raises(ValueError, match="9 clips, at most 8"):
        bucket_for(9, (1, 4, 8))
