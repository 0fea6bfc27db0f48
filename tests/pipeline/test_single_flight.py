import asyncio

import pytest

from serve.answer import Progress
from serve.errors import Private
from serve.pipeline.single_flight import SingleFlight
from tests.answers import answer
from tests.eventually import eventually


def ignore(_):
    pass


class Job:
    """Work that ends when it is told to."""

    def __init__(self):
        self.begun = self.cancelled = 0
        self.outcome = asyncio.get_running_loop().create_future()
        self.tell = ignore

    async def __call__(self, tell):
        self.begun += 1
        self.tell = tell
        try:
            return await asyncio.shield(self.outcome)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


@pytest.fixture
def flights():
    return SingleFlight(joinable_s=60)


async def joined(flights, job, key="a", on_progress=ignore):
    task = asyncio.create_task(flights.join(key, job, on_progress))
    waiting = flights.waiting
    await eventually(lambda: flights.waiting > waiting and job.begun)
    return task


async def test_all_who_ask_get_the_one_outcome(flights):
    job = Job()
    tasks = [await joined(flights, job) for _ in range(3)]
    assert (len(flights), flights.waiting) == (1, 3)
    job.outcome.set_result(expected := answer())
    assert [await task for task in tasks] == [expected] * 3
    assert job.begun == 1
    await eventually(lambda: not len(flights))
    assert flights.waiting == 0


async def test_other_keys_are_other_jobs(flights):
    jobs = [Job(), Job()]
    tasks = [await joined(flights, job, key) for job, key in zip(jobs, "ab", strict=True)]
    assert len(flights) == 2
    for job, task in zip(jobs, tasks, strict=True):
        job.outcome.set_result(answer())
        await task


async def test_what_is_over_begins_anew(flights):
    for _ in range(2):
        job = Job()
        task = await joined(flights, job)
        job.outcome.set_result(answer())
        await task
        assert job.begun == 1


async def test_all_get_the_one_failure(flights):
    job = Job()
    tasks = [await joined(flights, job) for _ in range(2)]
    job.outcome.set_exception(Private())
    for task in tasks:
        with pytest.raises(Private):
            await task


async def test_progress_goes_to_all_and_a_latecomer_hears_the_newest(flights):
    job = Job()
    first: list[Progress] = []
    late: list[Progress] = []
    tasks = [await joined(flights, job, on_progress=first.append)]
    told = [
        Progress("accepted", None, 0.0),
        Progress("found", None, 0.1, "T", 60.0),
        Progress("downloading", 0.1, 0.2),
        Progress("listening", 0.1, 0.3),
        Progress("downloading", 0.2, 0.4),
    ]
    for progress in told:
        job.tell(progress)
    tasks.append(await joined(flights, job, on_progress=late.append))
    assert first == told
    assert late == [told[0], told[1], told[3], told[4]]
    job.tell(progress := Progress("classifying", None, 0.5))
    assert first[-1] == late[-1] == progress
    job.outcome.set_result(answer())
    await asyncio.gather(*tasks)


async def test_one_who_leaves_takes_nothing_away(flights):
    job = Job()
    heard: list[Progress] = []
    leaver = await joined(flights, job, on_progress=heard.append)
    stayer = await joined(flights, job)
    leaver.cancel()
    await asyncio.gather(leaver, return_exceptions=True)
    job.tell(Progress("accepted", None, 0.0))
    assert heard == []
    assert not job.cancelled
    job.outcome.set_result(expected := answer())
    assert await stayer == expected


async def test_the_last_one_who_leaves_cancels_the_job(flights):
    job = Job()
    tasks = [await joined(flights, job) for _ in range(2)]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    # Gone when they are, not at some time.
    assert (job.cancelled, len(flights), flights.waiting) == (1, 0, 0)


async def test_nobody_joins_what_is_being_cancelled(flights):
    clearing = asyncio.Event()

    async def slow_to_go(_):
        try:
            await asyncio.Event().wait()
        finally:
            await clearing.wait()

    leaver = asyncio.create_task(flights.join("a", slow_to_go, ignore))
    await eventually(lambda: flights.waiting)
    leaver.cancel()
    await eventually(lambda: not flights.waiting)
    assert len(flights) == 1
    job = Job()
    newcomer = await joined(flights, job)
    clearing.set()
    await asyncio.gather(leaver, return_exceptions=True)
    assert job.begun == 1
    # What has gone has not taken the newcomer's place with it.
    other = await joined(flights, job)
    assert job.begun == 1
    job.outcome.set_result(expected := answer())
    assert await newcomer == await other == expected


async def test_an_old_job_is_not_kept_alive_by_newcomers():
    flights = SingleFlight(joinable_s=0)
    jobs = [Job(), Job()]
    tasks = [await joined(flights, job) for job in jobs]
    assert [job.begun for job in jobs] == [1, 1]
    tasks[0].cancel()
    await asyncio.gather(tasks[0], return_exceptions=True)
    assert [job.cancelled for job in jobs] == [1, 0]
    jobs[1].outcome.set_result(expected := answer())
    assert await tasks[1] == expected


async def test_each_has_its_own_deadline(flights):
    job = Job()
    patient = await joined(flights, job)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await flights.join("a", job, ignore)
    assert (job.begun, job.cancelled, flights.waiting) == (1, 0, 1)
    job.outcome.set_result(expected := answer())
    assert await patient == expected


async def test_stopping_cancels_all(flights):
    job = Job()
    task = await joined(flights, job)
    await flights.stop()
    assert job.cancelled
    with pytest.raises(asyncio.CancelledError):
        await task
