"""Classifies many tracks on all cores."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from serve.answer import Answer, Failure, OnProgress
from serve.container import cores
from serve.errors import (
    BadRequest,
    Internal,
    NotReady,
    Overloaded,
    Timeout,
    TopgenreError,
    Upstream,
)
from serve.library import files
from serve.library.aside import aside
from serve.library.bars import Bars
from serve.library.results import Record, ResultsFile
from serve.library.tracks import ListedTrack
from serve.pipeline import Pipeline
from serve.settings import Settings
from serve.sources.memory import MemorySource
from serve.sources.stream import AudioSource
from serve.text import one_line, safe

# Seconds until a failed track is retried where the failure does not say when, and the longest that
# a failure may ask to wait.
_AGAIN_S = 1.0
_SOON_S = 5.0


class LibraryRun:
    """Works through jobs; `emit` is given a record for every track as it finishes.

    What `results` has is not done again, and gains what is done. A file is read once: those that
    have several names are one job, and of copies only the first is decoded.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        jobs: Sequence[ListedTrack],
        emit: Callable[[Record], None],
        bars: Bars,
        results: ResultsFile | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._jobs = jobs
        self._emit = emit
        self._bars = bars
        self._results = results
        self._copies: dict[str, asyncio.Future[Record]] = {}
        self._last_failure = (-1, 0)

    async def run(self) -> int:
        """Do all jobs; the exit code is that of the last failed track in order, or 0.

        On leaving early nothing is under way any more, and what was finished has been emitted.
        """
        jobs = iter(enumerate(self._jobs))
        try:
            async with self._pipeline, asyncio.TaskGroup() as workers:
                for _ in range(min(workers_for(self._pipeline.decoders), len(self._jobs))):
                    workers.create_task(self._work(jobs))
        except ExceptionGroup as failures:  # of `emit` or of writing results
            raise failures.exceptions[0] from None
        return self._last_failure[1]

    async def _work(self, jobs: Iterator[tuple[int, ListedTrack]]) -> None:
        # All workers share one iterator, so that each job is done once.
        for number, job in jobs:
            try:
                record, code = await self._record(job), 0
            except Exception as failure:
                error = typed(failure)
                record, code = Failure.of(error).body(), error.exit_code
                self._last_failure = max(self._last_failure, (number, code))
            for track in job.tracks:
                name = os.fsencode(track).decode("utf-8", "replace")
                if job.path and not code:  # which may be a copy's
                    record = record | {"video_title": Path(name).name}
                self._tell({"track": name} | record)
            self._bars.done(len(job.tracks), failed=code > 0)

    def _tell(self, record: Record) -> None:
        if self._results:
            if self._results.has(record.get("id", ""), record["track"]):
                return
            self._results.write(record)
        self._emit(record)

    async def _record(self, job: ListedTrack) -> Record:
        if job.error:
            raise job.error
        with self._bars.track(job.tracks[0]) as tell:
            if job.link is not None:
                key, source = job.link.key, self._pipeline.linked(job.tracks[0])
                return self._known(key) or await self._classified(key, source, tell)
            assert job.path is not None
            limit = self._pipeline.settings.max_body_bytes
            content = await aside(partial(_read, job.path, limit))
            record_id = await asyncio.to_thread(digest, content)
            if record := self._known(record_id):
                return record
            source = MemorySource(safe(job.path.name), content, limit)
            if not job.has_peers:
                return await self._classified(record_id, source, tell)
            if record_id in self._copies:
                del content, source  # the first one has them
                return await asyncio.shield(self._copies[record_id])
            first = asyncio.ensure_future(self._classified(record_id, source, tell))
            self._copies[record_id] = first
            return await first

    def _known(self, record_id: str) -> Record | None:
        return self._results.get(record_id) if self._results else None

    async def _classified(
        self, record_id: str, source: AudioSource, on_progress: OnProgress
    ) -> Record:
        answer = await persistently(partial(self._pipeline.classify, source, on_progress))
        return {"id": record_id} | answer.body()


async def persistently(classify: Callable[[], Awaitable[Answer]]) -> Answer:
    """The answer, after one retry where the failure may be temporary."""
    try:
        return await classify()
    except (NotReady, Overloaded, Timeout, Upstream) as error:
        pause_s = error.retry_after_s or _AGAIN_S
        if not error.retryable or pause_s > _SOON_S:
            raise
    # Outside the handler, so that the first failure and all that it refers to are released.
    await asyncio.sleep(pause_s)
    return await classify()


def pipeline_for(settings: Settings) -> Pipeline:
    """A pipeline with a place for every worker, so that no track is refused as too many.

    Raises ModelFileError or DeviceError.
    """
    workers = workers_for(settings.decoders or cores())
    limits = {"max_requests": workers, "queue_size": workers}
    return Pipeline.from_settings(settings.model_copy(update=limits))


def workers_for(decoders: int) -> int:
    """Tracks in progress at once: one for each decoder, and one more to keep them busy."""
    return decoders + 1


def _read(path: Path, limit: int) -> bytes:
    try:
        return files.read(path, limit)
    except OSError as error:
        raise BadRequest(error.strerror) from None


def digest(content: bytes) -> str:
    """The key of a file: the digest of its content."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def report(error: TopgenreError | OSError) -> int:
    """Print why a command failed on standard error; its exit code."""
    print(f"topgenre: {one_line(str(error))}", file=sys.stderr)
    return error.exit_code if isinstance(error, TopgenreError) else Internal.exit_code


def typed(failure: Exception) -> TopgenreError:
    """The failure as a typed error: internal for any other exception, which it names."""
    if isinstance(failure, TopgenreError):
        return failure
    return Internal(f"{type(failure).__name__}: {failure}")
