import asyncio
import json
import threading
import weakref
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from serve.answer import answer_type
from serve.cache import AnswerCache, answers
from serve.cache.store import StoreError
from serve.errors import ERRORS, Private, Silent, YouTubeError
from serve.metrics import Metrics
from tests.answers import answer
from tests.eventually import eventually


class Memory:
    """A store that does as it is told."""

    entries = size_bytes = 0

    def __init__(self):
        self.values = {}
        self.age_s = 0.0
        self.asked = 0
        self.fails: Exception | None = None
        self.hangs = False

    async def _asked(self):
        self.asked += 1
        if self.fails:
            raise self.fails
        if self.hangs:
            await asyncio.Event().wait()

    async def open(self):
        await self._asked()

    async def get(self, key):
        await self._asked()
        return (self.values[key], self.age_s) if key in self.values else None

    async def put(self, key, value):
        await self._asked()
        self.values[key] = value

    async def close(self):
        pass


def make(store, **changes):
    given: dict[str, Any] = {
        "maker": {"model": "x"},
        "memory_entries": 3,
        "age_s": 1000.0,
        "failure_age_s": 100.0,
    } | changes
    return AnswerCache(store, Metrics(), **given)


@pytest.fixture
def store():
    return Memory()


@pytest.fixture
async def cache(store):
    async with make(store) as cache:
        yield cache


def same(found, expected):
    assert found.cached
    assert set(found.timings_ms) == {"cache", "total"}
    plain = replace(found, cached=False, timings_ms=expected.timings_ms)
    assert plain == expected
    assert list(found.results) == list(expected.results)


async def test_from_memory(cache, store):
    expected = answer()
    cache.put("a", expected)
    await eventually(lambda: store.values)
    asked = store.asked
    same(await cache.get("a"), expected)
    assert store.asked == asked


async def test_from_the_store_it_is_the_same_to_the_bit(cache, store):
    expected = answer(title='ü "♫"\n')
    cache.put("a", expected)
    await eventually(lambda: store.values)
    assert (
        json.loads(store.values["a"])["video_title"] == expected.video_title
    )  # nothing that runs code
    async with make(store) as other:
        same(await other.get("a"), expected)
        asked = store.asked
        same(await other.get("a"), expected)
        assert store.asked == asked


async def test_memory_is_bounded(cache):
    for key in "abcd":
        cache.put(key, answer(key))
        await cache.get("a")
    assert len(cache) == 3
    cache.store = None
    assert [key for key in "abcd" if await cache.get(key)] == ["a", "c", "d"]


async def test_no_memory_at_all(store):
    async with make(store, memory_entries=0) as cache:
        cache.put("a", answer())
        await eventually(lambda: store.values)
        assert await cache.get("a")


async def test_nothing_is_older_than_allowed(cache, store, monkeypatch):
    cache.put("a", answer())
    await eventually(lambda: store.values)
    store.age_s = 400.0
    async with make(store) as cache:
        now = asyncio.get_running_loop().time()
        assert await cache.get("a")
        monkeypatch.setattr("serve.cache.answers.time.monotonic", lambda: now + 590)
        assert await cache.get("a")
        store.values.clear()
        monkeypatch.setattr("serve.cache.answers.time.monotonic", lambda: now + 610)
        assert await cache.get("a") is None


@pytest.mark.parametrize("value", [b"", b"[]", b'{"video_title": 1}', b"\xff", b"null"])
async def test_what_is_no_answer_is_passed_over(cache, store, value):
    store.values["a"] = value
    assert await cache.get("a") is None


async def test_the_event_loop_reads_and_writes_no_json(cache, store, monkeypatch):
    class Told:
        def dump_json(self, answer):
            threads.append(threading.current_thread())
            return real.dump_json(answer)

        def validate_json(self, value):
            threads.append(threading.current_thread())
            return real.validate_json(value)

    threads: list[threading.Thread] = []
    real = answer_type()
    monkeypatch.setattr(answers, "answer_type", Told)
    cache.put("a", answer())
    await eventually(lambda: store.values)
    cache._memory.clear()
    assert await cache.get("a")
    assert len(threads) == 2
    assert threading.current_thread() not in threads


REPEATING = {
    *("private", "age_restricted", "members_only", "paid", "geo_blocked", "drm", "unavailable"),
    *("too_long", "too_big", "unsupported_media", "undecodable", "too_short", "silent"),
}


@pytest.mark.parametrize("code", ERRORS)
async def test_failures_that_come_again_are_kept_and_no_others(cache, store, code, monkeypatch):
    error = ERRORS[code]("Some words.")
    cache.put("a", error)
    found = await cache.get("a")
    if code not in REPEATING:
        assert found is None
        return
    assert type(found) is type(error)
    assert found is not error
    assert found.message == "Some words."
    assert not store.values
    now = asyncio.get_running_loop().time()
    monkeypatch.setattr("serve.cache.answers.time.monotonic", lambda: now + 110)
    assert await cache.get("a") is None


async def test_a_failure_that_is_kept_keeps_nothing_of_its_track(cache):
    def decode():
        features = np.zeros(9)
        seen.append(weakref.ref(features))
        raise Silent

    seen: list[weakref.ref[np.ndarray]] = []
    try:
        decode()
    except Silent as error:
        cache.put("a", error)
    assert type(await cache.get("a")) is Silent
    assert seen[0]() is None


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"fails": StoreError("no space")}, "no space"),
        ({"fails": StoreError()}, "StoreError"),
        ({"hangs": True}, "TimeoutError"),
    ],
)
async def test_a_store_that_fails_costs_nothing_but_a_warning(
    cache, store, fault, reason, caplog, monkeypatch
):
    monkeypatch.setattr("serve.cache.answers.PATIENCE_S", 0.01)
    for name, value in fault.items():
        setattr(store, name, value)
    cache.put("a", answer())
    assert await cache.get("a")
    await eventually(lambda: f"can't be used now: {reason}" in caplog.text)
    asked = store.asked
    assert await cache.get("b") is None
    cache.put("b", answer())
    assert store.asked == asked  # it is left alone for a while
    store.fails, store.hangs = None, False
    cache._rests_until = 0.0
    cache.put("c", answer())
    await eventually(lambda: "c" in store.values)


async def test_the_way_to_the_store_is_bounded(cache, store):
    store.hangs = True
    for n in range(100):
        cache.put(str(n), answer())
    assert len(cache._pending) == 32
    for task in cache._pending:
        task.cancel()
    await asyncio.gather(*cache._pending, return_exceptions=True)


async def test_leaving_waits_for_what_is_on_its_way(store):
    async with make(store) as cache:
        cache.put("a", answer())
    assert store.values
    assert await cache.get("a") is None


async def test_before_it_is_open_it_knows_nothing(store):
    cache = make(store)
    cache.put("a", answer())
    assert await cache.get("a") is None
    assert store.asked == 0


async def test_keys_tell_all_apart(store):
    keys = {
        make(store, maker=maker).key(kind, identity)
        for maker in ({"model": "x"}, {"model": "y"}, {"model": "x", "provider": "cuda"})
        for kind in ("youtube", "sha256")
        for identity in ("a", "b")
    }
    assert len(keys) == 12


async def test_lookups_are_counted(store):
    metrics = Metrics()
    cache = AnswerCache(store, metrics, maker={}, memory_entries=9, age_s=9.0, failure_age_s=9.0)
    async with cache:
        cache.put("a", answer())
        cache.put("b", Private())
        cache.put("c", YouTubeError())
        for key in "abbccc":
            await cache.get(key)
        store.fails = StoreError("x")
        await cache.get("d")
    text = metrics.render().decode()
    for line in (
        'topgenre_cache_lookups_total{found="answer"} 1.0',
        'topgenre_cache_lookups_total{found="failure"} 2.0',
        'topgenre_cache_lookups_total{found="miss"} 4.0',
        "topgenre_cache_failures_total 1.0",
    ):
        assert line in text
