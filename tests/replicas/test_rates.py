"""Rates that replicas count together, and each on its own where Redis can't be had."""

import pytest

from serve.http.rates import Rates
from serve.metrics import Metrics
from serve.replicas.together import Together
from serve.settings import Settings
from tests.redis import redis_server


@pytest.fixture
def redis(tmp_path):
    with redis_server(tmp_path) as server:
        yield server


async def granted(rates, who, times):
    taken = [await rates.take(None, who) for _ in range(times)]
    return sum(one.retry_after_s is None for one in taken)


async def test_they_count_together(redis):
    settings = Settings(address_rate="60/hour burst 5", key_rate="1/hour")
    replicas = [Together(redis.url, Metrics()) for _ in range(2)]
    one, two = (Rates(settings, replica) for replica in replicas)
    assert await granted(one, "192.0.2.1", 3) == 3
    assert await granted(two, "192.0.2.1", 4) == 2
    assert await granted(two, "192.0.2.2", 1) == 1
    refused = await one.take(None, "192.0.2.1")
    assert refused.retry_after_s is not None
    assert 0 < refused.retry_after_s <= 60
    assert (refused.limit, refused.remaining) == (5, 0)
    # Whoever has a key called like an address is somebody else.
    assert (await one.take("192.0.2.1", "192.0.2.1")).retry_after_s is None
    for replica in replicas:
        await replica.close()


async def test_without_redis_each_counts_alone(redis, caplog):
    metrics = Metrics()
    replica = Together(redis.url, metrics)
    rates = Rates(Settings(address_rate="60/hour burst 3"), replica)
    assert await granted(rates, "192.0.2.1", 3) == 3
    redis.stop()
    assert await granted(rates, "192.0.2.1", 5) == 3
    assert b"topgenre_alone_total 1.0" in metrics.render()
    assert "working without other replicas" in caplog.text
    await replica.close()
