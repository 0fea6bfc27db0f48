"""Shards as tasks of Ray, which places them, and does them again where a node is lost."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

# Ray reads it when it is imported.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
import ray
from ray.exceptions import RayError, RayTaskError

from serve.container import cores
from serve.errors import BadRequest, Internal
from serve.inference.session import load_model
from serve.library.catalogue.bar import Bar
from serve.library.catalogue.manifest import Entry, Manifest
from serve.library.catalogue.places import Place
from serve.library.catalogue.run import CatalogueRun
from serve.library.catalogue.shards import Plan, Shards
from serve.library.run import pipeline_for
from serve.pipeline import Pipeline
from serve.settings import Settings

# Shards that Ray knows of at a time: what it keeps of one are the names of its tracks.
_SUBMITTED = 1024
# Times that a shard is tried again after its process or node was lost, or OUT could not be written.
_RETRIES = 5
# Nothing that is large goes through Ray's own memory; it takes no less.
_OBJECT_STORE_BYTES = 80 << 20


@dataclass(frozen=True, slots=True)
class Job:
    """A shard, with all that a node needs for it."""

    settings: Settings
    out: str
    plan: Plan
    shard: int
    entries: dict[int, Entry]


class Count:
    """Tracks of a shard that are done, in place of a bar."""

    def __init__(self) -> None:
        self.failed = 0

    def track(self, *, failed: bool) -> None:
        """Count a track."""
        self.failed += failed

    def shard(self, number: int, *, rows: int) -> None:
        """The bar is elsewhere."""


class OnRay:
    """A cluster of Ray's: the one at `address` or in RAY_ADDRESS, or a new one on this machine.

    A task takes as many cores as `settings.decoders` says, by default one, and a GPU where one is
    named. Raises ModelFileError.
    """

    def __init__(self, settings: Settings, address: str | None) -> None:
        self._address = address or os.environ.get("RAY_ADDRESS")
        self._cores = settings.decoders or 1
        threads = settings.inference_threads or self._cores
        of_a_task = {"decoders": self._cores, "inference_threads": threads}
        self._settings = settings.model_copy(update=of_a_task)
        # There need be no GPU here.
        self.model = load_model(settings.model, "cpu").sha256

    async def run(self, manifest: Manifest, shards: Shards, todo: Sequence[int], bar: Bar) -> None:
        """Do these shards; raise OSError or a typed error where one can't be done."""
        gpus = self._settings.device not in ("auto", "cpu")
        work = ray.remote(
            num_cpus=self._cores,
            num_gpus=int(gpus),
            max_retries=_RETRIES,
            retry_exceptions=[OSError],
        )(classified)
        turn = asyncio.Semaphore(_SUBMITTED)
        with _joined(self._address, self._cores):
            try:
                async with asyncio.TaskGroup() as tasks:
                    for number in todo:
                        await turn.acquire()
                        job = self._job(manifest, shards, number)
                        tasks.create_task(_done(work, job, bar)).add_done_callback(
                            lambda _: turn.release()
                        )
            except ExceptionGroup as failures:
                raise _cause(failures.exceptions[0]) from None
        if absent := shards.missing(todo):
            raise BadRequest(f"Shard {absent[0]} was written elsewhere: nodes do not share OUT.")

    def _job(self, manifest: Manifest, shards: Shards, number: int) -> Job:
        entries = {track: manifest[track] for track in shards.plan.tracks_of(number)}
        return Job(self._settings, shards.out.name, shards.plan, number, entries)


def classified(job: Job) -> int:
    """Make a shard's file, in a process of a node; gives how many tracks of it failed.

    Raises OSError where it can't be written, ModelFileError, DeviceError, or BadRequest where the
    node has another model.
    """
    loop, pipeline = _warm(job.settings)
    if pipeline.model.sha256 != job.plan.model:
        raise BadRequest(f"{os.uname().nodename} has another model: {job.settings.model}.")
    count = Count()
    shards = Shards(Place.of(job.out), job.plan)
    loop.run(CatalogueRun(pipeline, job.entries.__getitem__, shards, count).run([job.shard]))
    if pipeline.failed:
        os._exit(1)  # Ray tries again in another process
    return count.failed


@cache
def _warm(settings: Settings) -> tuple[asyncio.Runner, Pipeline]:
    """A pipeline that has been started, and the loop that it runs in: both serve the next task."""
    loop, pipeline = asyncio.Runner(), pipeline_for(settings)
    loop.run(pipeline.__aenter__())
    return loop, pipeline


async def _done(work: ray.remote_function.RemoteFunction, job: Job, bar: Bar) -> None:
    failed = await work.options(name=f"shard {job.shard}").remote(job)
    bar.tracks(len(job.entries), failed=failed)
    bar.shard(job.shard, rows=len(job.entries))


def _cause(failure: Exception) -> Exception:
    """What a task failed of, without what Ray writes around it."""
    if isinstance(failure, RayTaskError):
        cause: Exception = failure.cause
        return cause
    return Internal(f"Ray: {failure}") if isinstance(failure, RayError) else failure


@contextmanager
def _joined(address: str | None, task_cores: int) -> Iterator[None]:
    stop = signal.getsignal(signal.SIGTERM)
    with tempfile.TemporaryDirectory(prefix="topgenre-", ignore_cleanup_errors=True) as folder:
        try:
            _start({"address": address} if address else _alone(folder, task_cores))
            signal.signal(signal.SIGTERM, stop)  # which Ray has taken
            yield
        finally:
            ray.shutdown()


def _start(options: dict[str, Any]) -> None:
    logging.getLogger("ray").setLevel("ERROR")  # at once
    try:
        ray.init(logging_level="ERROR", log_to_driver=False, **options)
    except Exception as error:  # some are just that
        raise Internal(f"Ray could not be started or reached: {error}") from error


def _alone(folder: str, task_cores: int) -> dict[str, Any]:
    os.environ |= {
        # It listens on all addresses, where others may only come in with a token.
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        # By default everything else on the machine goes before the workers.
        "RAY_worker_niceness": "0",
    }
    return {
        "address": "local",
        "num_cpus": max(cores(), task_cores),
        "include_dashboard": False,
        "object_store_memory": _OBJECT_STORE_BYTES,
        "_temp_dir": folder,
    }
