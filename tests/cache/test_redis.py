"""Against a real Redis server, which Debian's package `redis-server` has."""

import asyncio
import threading
import time
import zlib
from typing import Any

import pytest
from redis.exceptions import AuthenticationError, RedisError

from serve.cache.redis import RedisStore, close, reason
from serve.cache.store import MAX_VALUE_BYTES, StoreError
from serve.metrics import Metrics
from serve.replicas.redis import AloneError, SharedRedis
from serve.settings import Settings, SettingsError
from tests.process import free_port
from tests.redis import redis_server


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture
async def store(address):
    store = RedisStore(address, max_age_s=100)
    await store.open()
    await store._redis.flushall()
    yield store
    await store.close()


async def test_what_is_put_can_be_got_by_all(store, address):
    assert await store.get("a") is None
    await store.put("a", b"one")
    other = RedisStore(address, max_age_s=100)
    found = await other.get("a")
    assert found
    value, age_s = found
    assert value == b"one"
    assert 0 <= age_s < 60
    await other.close()


async def test_it_ends_with_its_age(store, address):
    short = RedisStore(address, max_age_s=0.05)
    await short.put("a", b"one")
    end = time.monotonic() + 10
    while await short.get("a"):
        assert time.monotonic() < end
    await short.close()
    assert await store._redis.dbsize() == 0


@pytest.mark.parametrize(
    "stored",
    [b"nothing", zlib.compress(bytes(MAX_VALUE_BYTES + 1)), bytes(2 * MAX_VALUE_BYTES)],
    ids=["nothing", "larger than any", "longer than any"],
)
async def test_a_broken_value_is_passed_over(store, stored):
    await store._redis.set("topgenre:a", stored, px=50_000)
    assert await store.get("a") is None


@pytest.mark.parametrize("life", [{}, {"px": 200_000}], ids=["without end", "longer than ours"])
async def test_a_value_that_does_not_age_as_ours_is_passed_over(store, life):
    await store._redis.set("topgenre:a", zlib.compress(b"one"), **life)
    assert await store.get("a") is None


async def test_the_event_loop_inflates_nothing(store, monkeypatch):
    def told(content):
        threads.append(threading.current_thread())
        return content

    threads: list[threading.Thread] = []
    for name in ("packed", "unpacked"):
        monkeypatch.setattr(f"serve.cache.redis.{name}", told)
    await store.put("a", b"one")
    assert (await store.get("a"))[0] == b"one"
    assert len(threads) == 2
    assert threading.current_thread() not in threads


async def test_a_failure_is_said_without_the_password(store, monkeypatch):
    async def fail(_):
        raise RedisError("redis://:secret@there does not answer")

    monkeypatch.setattr(store._redis, "set", lambda *_, **__: fail(0))
    with pytest.raises(StoreError, match="RedisError") as failed:
        await store.put("a", b"one")
    assert "secret" not in str(failed.value)


async def test_none_there_is_said(tmp_path):
    store = RedisStore(f"unix://{tmp_path}/none", max_age_s=1)
    with pytest.raises(StoreError):
        await store.get("a")
    await store.close()


async def test_a_wrong_password_is_said(tmp_path, caplog):
    options = ("--requirepass", "right", "--bind", "127.0.0.1", "--port", str(port := free_port()))
    with redis_server(tmp_path, *options) as server:
        for url in (f"{server.url}?password=wrong", f"redis://:wrong@127.0.0.1:{port}"):
            store, shared = RedisStore(url, max_age_s=1), SharedRedis(url, Metrics())
            with pytest.raises(StoreError, match="Redis: AuthenticationError"):
                await store.get("a")
            with pytest.raises(AloneError):
                await shared.ask(shared.redis.ping)
            await store.close()
            await shared.close()
    assert [record.getMessage() for record in caplog.records] == [
        "working without other replicas: Redis: AuthenticationError"
    ] * 2


def test_without_the_extra_the_start_stops(monkeypatch):
    monkeypatch.setattr("serve.settings.find_spec", lambda _: None)
    monkeypatch.setenv("TOPGENRE_CACHE", "redis://:secret@localhost")
    with pytest.raises(SettingsError, match="extra `redis`") as failed:
        Settings.from_environment()
    assert "secret" not in str(failed.value)


async def test_what_does_not_take_its_leave_is_given_up(monkeypatch):
    class Silent:
        async def aclose(self):
            await asyncio.Event().wait()

    class Broken:
        async def aclose(self):
            raise RedisError

    silent: Any = Silent()
    broken: Any = Broken()
    monkeypatch.setattr("serve.cache.redis._CLOSE_S", 0.01)
    async with asyncio.timeout(10):
        for redis in silent, broken:
            await close(redis)


def test_errors_that_are_each_others_context_are_named():
    first, second = ConnectionError("1"), ConnectionError("2")
    first.__context__, second.__context__ = second, first
    assert reason(first) == "Redis: ConnectionError"
    second.__cause__ = AuthenticationError("no")
    assert reason(first) == "Redis: AuthenticationError"
