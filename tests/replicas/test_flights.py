"""Replicas that share a Redis do once what all are asked for; without it each works alone."""

import asyncio
import os
import signal
import time
from functools import partial

import pytest

from serve.answer import Progress
from serve.errors import Overloaded, RateLimited
from serve.metrics import Metrics
from serve.replicas.flights import SharedFlights
from serve.replicas.redis import SharedRedis
from tests.answers import answer
from tests.eventually import eventually
from tests.redis import redis_server

LEASE_S = 0.8
ANSWER = answer("T")


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


class Replica:
    """A server's flights, and what its one asker has heard."""

    def __init__(self, url):
        self.metrics = Metrics()
        self.shared = SharedRedis(url, self.metrics)
        self.flights = SharedFlights(self.shared, 60.0, LEASE_S)
        self.done = 0
        self.finish = asyncio.Event()
        self.heard = []

    async def work(self, on_progress):
        self.done += 1
        on_progress(Progress("found", None, 0.0, "T", 1.4))
        await self.finish.wait()
        on_progress(Progress("classifying", None, 0.0))
        return ANSWER

    async def close(self):
        await self.flights.close()
        await self.shared.close()

    def asks(self, key="video", work=None):
        asked = self.flights.once(key, work or self.work, self.heard.append)
        return asyncio.ensure_future(asked)


@pytest.fixture
async def replicas(redis):
    made = [Replica(redis.url) for _ in range(3)]
    await made[0].shared.redis.flushall()
    yield made
    for replica in made:
        replica.finish.set()
        await replica.close()


async def test_it_is_done_once_for_all(replicas):
    first, second, third = replicas
    asked = [first.asks()]
    await eventually(lambda: first.done)
    asked += [second.asks(), third.asks()]
    await eventually(lambda: len(second.heard) == len(third.heard) == 1)
    first.finish.set()
    assert await asyncio.gather(*asked) == [ANSWER] * 3
    assert [replica.done for replica in replicas] == [1, 0, 0]
    assert first.heard == second.heard == third.heard
    assert [progress.stage for progress in third.heard] == ["found", "classifying"]


async def test_who_comes_just_afterwards_still_hears_it(replicas):
    first, second, _ = replicas
    first.finish.set()
    await first.asks()
    await eventually(lambda: not first.flights._telling)
    assert await second.asks() == ANSWER
    assert second.done == 0


async def test_a_failure_is_everybodys_and_the_next_one_tries_again(replicas):
    first, second, third = replicas

    async def fails(on_progress):
        await first.finish.wait()
        raise RateLimited("Not now.", retry_after_s=7)

    asked = [first.asks(work=fails)]
    await eventually(lambda: first.flights._telling)
    asked.append(second.asks())
    await asyncio.sleep(0.05)
    first.finish.set()
    for error in await asyncio.gather(*asked, return_exceptions=True):
        assert isinstance(error, RateLimited)
        assert (error.message, error.retry_after_s, error.origin) == ("Not now.", 7, "youtube")
    third.finish.set()
    assert await third.asks() == ANSWER


async def test_when_its_asker_leaves_another_replica_takes_over(replicas):
    first, second, _ = replicas
    leaving = first.asks()
    await eventually(lambda: first.done)
    staying = second.asks()
    await eventually(lambda: second.heard)
    leaving.cancel()
    second.finish.set()
    assert await staying == ANSWER
    assert second.done == 1


async def test_a_job_longer_than_its_lease_is_not_done_twice(replicas):
    first, second, _ = replicas
    asked = [first.asks()]
    await eventually(lambda: first.done)
    asked.append(second.asks())
    await asyncio.sleep(2 * LEASE_S)
    first.finish.set()
    assert await asyncio.gather(*asked) == [ANSWER] * 2
    assert second.done == 0


async def test_a_holder_that_is_gone_is_replaced(replicas):
    first, second, third = replicas
    assert await first.flights._take("video", f"of one that was killed@{time.time()}")
    asked = [second.asks(), third.asks()]
    second.finish.set()
    third.finish.set()
    assert await asyncio.gather(*asked) == [ANSWER] * 2
    assert second.done + third.done == 1


async def test_what_only_one_server_can_not_do_is_done_by_another(replicas):
    first, second, _ = replicas

    async def overloaded(on_progress):
        await first.finish.wait()
        raise Overloaded

    asked = [first.asks(work=overloaded)]
    await eventually(lambda: first.flights._telling)
    asked.append(second.asks())
    await asyncio.sleep(0.05)
    first.finish.set()
    second.finish.set()
    assert await asked[1] == ANSWER
    with pytest.raises(Overloaded):
        await asked[0]


async def test_a_failed_command_costs_no_lease(replicas):
    first, second, _ = replicas
    asked = [first.asks()]
    await eventually(lambda: first.done)
    first.shared._rests_until = time.monotonic() + 60
    asked.append(second.asks())
    await asyncio.sleep(2 * LEASE_S)
    first.finish.set()
    assert await asyncio.gather(*asked) == [ANSWER] * 2
    assert second.done == 0


async def test_a_lease_is_not_left_to_nobody(replicas):
    first, second, _ = replicas
    for turns in range(20):
        leaving = first.asks()
        for _ in range(turns):
            await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
    await eventually(lambda: not first.flights._telling)
    assert await first.shared.redis.get("topgenre:flight:video") is None
    second.finish.set()
    assert await second.asks() == ANSWER


async def test_an_old_job_is_left_to_those_who_wait_for_it(replicas):
    first, second, _ = replicas
    second.flights._joinable_s = 0.0
    waiting = first.asks()
    await eventually(lambda: first.done)
    second.finish.set()
    assert await second.asks() == ANSWER
    assert second.done == 1
    first.finish.set()
    assert await waiting == ANSWER


async def test_a_stall_of_this_process_is_none_of_redis(replicas):
    first, *_ = replicas
    asked = asyncio.ensure_future(
        first.shared.ask(partial(first.shared.redis.blpop, "nothing", 0.3))
    )
    await asyncio.sleep(0.1)
    time.sleep(1.2)
    assert await asked is None
    assert b"topgenre_alone_total 0.0" in first.metrics.render()


async def test_a_burst_is_no_failure(redis):
    shared = SharedRedis(redis.url, Metrics())
    try:
        asked = (shared.ask(shared.redis.ping) for _ in range(300))
        assert all(await asyncio.gather(*asked))
    finally:
        await shared.close()


async def test_what_lies_there_is_not_believed_blindly(replicas):
    first, second, _ = replicas
    token = f"t@{time.time()}"
    await first.flights._take("video", token)
    for entry in ({"progress": "{}"}, {"answer": b"x"}, {"error": "[]"}, {"else": ""}):
        await first.shared.redis.xadd(f"topgenre:told:video:{token}", entry)
    second.finish.set()
    assert await second.asks() == ANSWER
    assert second.done == 1


async def test_without_redis_each_works_alone(tmp_path, caplog):
    alone = Replica(f"unix://{tmp_path}/nothing?password=secret")
    alone.finish.set()
    assert await alone.asks() == ANSWER
    assert await alone.asks() == ANSWER
    assert alone.done == 2
    assert b"topgenre_alone_total 1.0" in alone.metrics.render()
    assert "working without other replicas" in caplog.text
    assert "secret" not in caplog.text
    await alone.close()


@pytest.mark.parametrize("how", ["stopped", "slow"])
async def test_redis_may_fail_in_the_middle(tmp_path, how):
    with redis_server(tmp_path) as server:
        first, second = Replica(server.url), Replica(server.url)
        asked = [first.asks()]
        await eventually(lambda: first.done)
        asked.append(second.asks())
        await eventually(lambda: second.heard)
        if how == "stopped":
            server.stop()
        else:
            os.kill(server.process.pid, signal.SIGSTOP)
        second.finish.set()
        try:
            assert await asked[1] == ANSWER  # on its own
            first.finish.set()
            assert await asked[0] == ANSWER
            assert (first.done, second.done) == (1, 1)
            await asyncio.gather(first.close(), second.close())
        finally:
            if how == "slow":
                os.kill(server.process.pid, signal.SIGCONT)
