"""`POST /predict/batch`: many tracks in one request, each answered as soon as it is ready."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import Any

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from serve.answer import Answer, Failure
from serve.durations import spoken
from serve.errors import Overloaded, Timeout, TopgenreError
from serve.http.predict.batch_body import BatchTrack, read_tracks
from serve.http.predict.departure import READING_S, Departed, Visit
from serve.http.rates import charge
from serve.http.record import RequestRecord, accounted, record_of
from serve.http.replies import error_response, included
from serve.http.state import drain_of, request_id_of
from serve.pipeline import Pipeline
from serve.sources.stream import AudioSource


class BatchLimits:
    """Limits how many batches run at once, and how many of their tracks."""

    def __init__(self, pipeline: Pipeline) -> None:
        settings = pipeline.settings
        self.pipeline = pipeline
        #: most tracks of all batches that are processed at once
        self.share = settings.batch_share or max(1, settings.max_requests // 4)
        self._turns = asyncio.Semaphore(self.share)
        self._active = 0
        pipeline.metrics.watch("batches_active", "Batches being worked on", lambda: self._active)

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Count a batch while the context lasts; raise Overloaded if there are too many."""
        if self._active >= self.pipeline.settings.max_batches:
            raise Overloaded(retry_after_s=10.0)
        self._active += 1
        try:
            yield
        finally:
            self._active -= 1

    async def classify(self, source: AudioSource) -> Answer:
        """Classify a track when there is capacity for it; its deadline starts then."""
        async with self._turns:
            return await self.pipeline.classify_patiently(source)


class BatchResponse(Response):
    """Reads a batch, and responds with a line of JSON for each track or one error for all."""

    media_type = "application/x-ndjson"

    def __init__(self, request: Request, batches: BatchLimits) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._request = request
        self._request_id = request_id_of(request)
        self._batches = batches
        self._pipeline = batches.pipeline
        self._drain = drain_of(request)
        self._record = record_of(request.scope)
        self._include: frozenset[str] = frozenset()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond; if the client disconnects, all work for it is cancelled."""
        visit = Visit(receive)
        self._record.code = "cancelled"
        try:
            await visit.do(self._work(visit, send))
            self._record.code = "ok"
        except TopgenreError as error:
            self._record.code = error.code
            await error_response(error, self._request_id)(scope, receive, send)
        except Departed:
            pass

    async def _work(self, visit: Visit, send: Send) -> None:
        limit_s = self._pipeline.settings.batch_deadline_s
        late = Timeout(f"The batch took longer than the limit of {spoken(limit_s)}.")
        deadline = asyncio.get_running_loop().time() + limit_s
        with self._batches.admitted():
            async with AsyncExitStack() as stack:
                self._include = included(self._request)
                try:
                    async with asyncio.timeout_at(deadline):
                        tracks = await read_tracks(self._request, visit, self._pipeline, stack)
                except TimeoutError:
                    raise late from None
                if len(tracks) > 1:  # the first is counted already
                    await charge(self._request.scope, len(tracks) - 1)
                head = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
                await send(head)
                unanswered = dict(enumerate(tracks))
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(deadline):
                        await self._answer(unanswered, send)
                with suppress(TimeoutError):
                    async with asyncio.timeout(READING_S):
                        for track in unanswered.values():
                            await self._say(track, Failure.of(late).body(), send)
                        await send({"type": "http.response.body", "body": b""})

    async def _answer(self, unanswered: dict[int, BatchTrack], send: Send) -> None:
        waiting = iter(list(unanswered.items()))

        async def work() -> None:
            for number, track in waiting:
                body = await self._outcome(track)
                # Before sending: a line that was cut off must not be sent twice.
                del unanswered[number]
                await self._say(track, body, send)

        async with asyncio.TaskGroup() as workers:
            for _ in range(min(self._batches.share, len(unanswered))):
                workers.create_task(work())

    async def _outcome(self, track: BatchTrack) -> dict[str, Any]:
        try:
            # A record of its own: the request's record is for the batch.
            with accounted(self._pipeline.metrics, self._request_id, RequestRecord()):
                if isinstance(track.source, TopgenreError):
                    raise track.source
                async with self._drain.work():
                    answer = await self._batches.classify(track.source)
                return answer.body(self._include)
        except TopgenreError as error:
            return Failure.of(error).body()

    async def _say(self, track: BatchTrack, body: dict[str, Any], send: Send) -> None:
        line = track.labels | body | {"request_id": self._request_id}
        text = to_json(line) + b"\n"
        await send({"type": "http.response.body", "body": text, "more_body": True})


async def batch(request: Request) -> Response:
    """Classify many tracks; results are sent as they are ready."""
    return BatchResponse(request, request.app.state.batches)
