"""Failures of YouTube's that replicas see are counted together."""

from contextlib import suppress

import pytest

from serve.errors import BotCheck, RateLimited
from serve.metrics import Metrics
from serve.pipeline.breaker import Breaker, through_all
from serve.replicas.together import Together
from tests.redis import redis_server


class Replica:
    def __init__(self, url, pause_s=60.0):
        self.breakers = [
            Breaker(kind, failures=3, window_s=60, pause_s=pause_s)
            for kind in (BotCheck, RateLimited)
        ]
        self.together = Together(url, Metrics())

    async def asks(self, error=None):
        async with through_all(self.breakers, self.together):
            if error:
                raise error
        return "answered"

    @property
    def states(self):
        return [breaker.state for breaker in self.breakers]


@pytest.fixture
async def redis(tmp_path):
    with redis_server(tmp_path) as server:
        yield server


async def fail(replica, times, kind=RateLimited):
    for _ in range(times):
        with pytest.raises(kind):
            await replica.asks(kind())


async def test_they_are_counted_together_and_open_all(redis):
    one, two = Replica(redis.url), Replica(redis.url)
    await fail(one, 2)
    await fail(one, 1, BotCheck)
    assert await two.asks() == "answered"
    await fail(two, 1)
    assert two.states == ["closed", "open"]
    with pytest.raises(RateLimited) as refused:
        await one.asks()
    assert refused.value.retry_after_s
    assert 0 < refused.value.retry_after_s <= 60
    assert one.states == ["closed", "open"]
    for replica in (one, two):
        await replica.together.close()


async def test_what_a_breaker_refuses_is_no_new_failure(redis):
    one = Replica(redis.url, 0.2)
    await fail(one, 3)
    while one.states[1] == "open":
        with suppress(RateLimited):
            await one.asks()
    assert await one.asks() == "answered"
    assert one.states == ["closed", "closed"]
    await one.together.close()


async def test_when_the_pause_is_over_one_tries(redis):
    one, two = Replica(redis.url, 0.05), Replica(redis.url, 0.05)
    await fail(one, 1)
    await fail(two, 2)
    with pytest.raises(RateLimited):
        await one.asks()
    while one.states[1] != "half-open":
        pass
    assert await one.asks() == "answered"
    assert one.states == ["closed", "closed"]
    for replica in (one, two):
        await replica.together.close()


async def test_without_redis_each_counts_alone(redis):
    one = Replica(redis.url)
    redis.stop()
    await fail(one, 3)
    assert one.states == ["closed", "open"]
    with pytest.raises(RateLimited):
        await one.asks()
    await one.together.close()
