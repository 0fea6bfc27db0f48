"""`/predict` and `/check`: classify one track, or check whether a link would be accepted."""

from __future__ import annotations

from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from serve.answer import Failure, Progress
from serve.errors import BadRequest, TopgenreError
from serve.http.bodies import Check
from serve.http.predict.departure import READING_S, Departed, Visit
from serve.http.predict.events import Emit, Event, EventStream, heard_out
from serve.http.predict.forms import classify_request
from serve.http.record import accounted, record_of
from serve.http.replies import Json, error_response, included
from serve.http.state import drain_of, pipeline_of, request_id_of
from serve.sources.links import link_of

# The title of a track may be private.
_NO_STORE = {"Cache-Control": "no-store"}


async def predict(request: Request) -> Response:
    """The genre of a track: as one answer, or as a stream of events that ends with it."""
    if request.method == "HEAD":  # it would do all the work for no answer
        raise HTTPException(405, headers={"Allow": "GET, POST"})
    if heard_out(request.headers):
        return Response(status_code=204, headers=_NO_STORE)
    visit = Visit(request.receive)
    if "text/event-stream" in request.headers.get("accept", ""):
        deadline_s = pipeline_of(request).settings.deadline_s
        return EventStream(
            visit, lambda emit: _last_events(request, visit, emit), deadline_s + READING_S
        )
    try:
        body = await visit.do(_answer(request, visit))
        return Response(body, headers=_NO_STORE, media_type=Json.media_type)
    except TopgenreError as error:
        return error_response(error, request_id_of(request))
    except Departed:
        return Response(status_code=499)  # nobody reads it; nginx uses this status for disconnects


async def _last_events(request: Request, visit: Visit, emit: Emit) -> list[Event]:
    try:
        return [("result", await _answer(request, visit, emit))]
    except TopgenreError as error:
        body = to_json(Failure.of(error, request_id_of(request)).body())
        # Under two names: an EventSource also calls the loss of its connection `error`.
        return [("failure", body), ("error", body)]


async def _answer(request: Request, visit: Visit, emit: Emit | None = None) -> bytes:
    record = record_of(request.scope)

    def tell(progress: Progress) -> None:
        record.saw(progress.stage)
        if emit is not None:
            emit("progress", to_json(progress.body()))

    pipeline = pipeline_of(request)
    with accounted(pipeline.metrics, request_id_of(request), record):
        include = included(request)
        async with drain_of(request).work():
            answer = await classify_request(request, visit, pipeline, tell)
    record.cached, record.stages_ms = answer.cached, answer.timings_ms
    return answer.json(include, request_id_of(request))


async def check(request: Request) -> Response:
    """Whether a link would be accepted, with the errors of `predict`; nothing is fetched."""
    url = request.query_params.get("url")
    try:
        if url is None:
            raise BadRequest("The address needs a url to check.")
        found = link_of(url)
    except TopgenreError as error:
        return error_response(error, request_id_of(request))
    return Json(Check(found.id, found.page))
