"""What each address answers."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import cast

from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from serve.answer import Failure, Progress
from serve.errors import (
    BadRequest,
    MethodNotAllowed,
    NotFound,
    NotReady,
    ShuttingDown,
    TopgenreError,
)
from serve.http.api.description import describe
from serve.http.bodies import Info, Sandbox, Status
from serve.http.drain import Drain
from serve.http.outcome import accounted
from serve.http.page import check
from serve.http.predict.batch import batch
from serve.http.predict.departure import READING_S, Departed, Visit
from serve.http.predict.events import Emit, Event, EventStream, heard_out
from serve.http.predict.forms import classify_request
from serve.http.record import record_of
from serve.http.replies import Json, error_response, included
from serve.pipeline import Pipeline

# What a track is called by may be nobody else's business.
_NO_STORE = {"Cache-Control": "no-store"}
_PACKAGES = ("topgenre", "onnxruntime-gpu", "av", "numpy", "scipy", "yt-dlp", "starlette")


def _pipeline(request: Request) -> Pipeline:
    pipeline: Pipeline = request.app.state.pipeline
    return pipeline


def _drain(request: Request) -> Drain:
    drain: Drain = request.app.state.drain
    return drain


def _request_id(request: Request) -> str:
    request_id: str = request.state.request_id
    return request_id


async def predict(request: Request) -> Response:
    """The genre of a track: as one answer, or as a stream of events that ends with it."""
    if request.method == "HEAD":  # all the work, and no answer
        raise HTTPException(405, headers={"Allow": "GET, POST"})
    if heard_out(request.headers):
        return Response(status_code=204, headers=_NO_STORE)
    visit = Visit(request.receive)
    if "text/event-stream" in request.headers.get("accept", ""):
        deadline_s = _pipeline(request).settings.deadline_s
        return EventStream(
            visit, lambda emit: _last_events(request, visit, emit), deadline_s + READING_S
        )
    try:
        body = await visit.do(_answer(request, visit))
        return Response(body, headers=_NO_STORE, media_type=Json.media_type)
    except TopgenreError as error:
        return error_response(error, _request_id(request))
    except Departed:
        return Response(status_code=499)  # nobody reads it; the number is nginx's for this


async def _last_events(request: Request, visit: Visit, emit: Emit) -> list[Event]:
    try:
        return [("result", await _answer(request, visit, emit))]
    except TopgenreError as error:
        body = to_json(Failure.of(error, _request_id(request)).body())
        # By two names: an EventSource calls the loss of its connection `error`, too.
        return [("failure", body), ("error", body)]


async def _answer(request: Request, visit: Visit, emit: Emit | None = None) -> bytes:
    record = record_of(request.scope)

    def tell(progress: Progress) -> None:
        record.saw(progress.stage)
        if emit is not None:
            emit("progress", to_json(progress.body()))

    pipeline = _pipeline(request)
    with accounted(pipeline.metrics, _request_id(request), record):
        include = included(request)
        async with _drain(request).work():
            answer = await classify_request(request, visit, pipeline, tell)
    record.cached, record.stages_ms = answer.cached, answer.timings_ms
    return answer.json(include, _request_id(request))


async def live(_: Request) -> Response:
    """The process answers."""
    return Json(Status("live"))


async def ready(request: Request) -> Response:
    """Tracks are taken; 503 while they are not, or soon will not be."""
    if _drain(request).stopping:
        return error_response(ShuttingDown(), _request_id(request))
    if not _pipeline(request).ready:
        return error_response(NotReady(), _request_id(request))
    return Json(Status("ready"))


async def info(request: Request) -> Response:
    """The model, where it runs, the limits, and the versions of what matters."""
    pipeline = _pipeline(request)
    model, settings = pipeline.model, pipeline.settings
    card = model.card
    return Json(
        Info(
            model={
                "name": card.name,
                "version": card.version,
                "sha256": model.sha256,
                "licence": card.licence,
                "training": card.training,
                "scores": card.scores,
            },
            genres=card.genres,
            tags=card.tags,
            sounds=card.sounds,
            front_end=card.front_end,
            clip_s=pipeline.parts.front_end.clip_s,
            provider=model.provider,
            limits={
                "max_duration_s": settings.max_duration_s,
                "max_body_bytes": settings.max_body_bytes,
                "deadline_s": settings.deadline_s,
                "max_requests": settings.max_requests,
                "batch_size": settings.batch_size,
                "batch_bytes": settings.batch_bytes,
            },
            sandbox=cast(Sandbox, pipeline.sandbox),
            versions={"python": platform.python_version()} | _VERSIONS,
        )
    )


async def metrics(request: Request) -> Response:
    """Counts and measures in Prometheus' text format."""
    return PlainTextResponse(
        _pipeline(request).metrics.render(),
        media_type="text/plain; version=0.0.4; charset=utf-8",
    )


async def openapi(_: Request) -> Response:
    """The description of this API."""
    return Json(describe())


async def http_error(request: Request, error: Exception) -> Response:
    """What the router refuses, in the form of all our errors."""
    assert isinstance(error, HTTPException)
    kind = {404: NotFound, 405: MethodNotAllowed}.get(error.status_code, BadRequest)
    record_of(request.scope).code = kind.code
    response = error_response(kind(), _request_id(request))
    response.headers.update(error.headers or {})
    return response


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except ImportError:  # PackageNotFoundError: onnxruntime goes by two names
            continue
    return found


_VERSIONS = _versions()

ROUTES = [
    Route("/predict", predict, methods=["GET", "POST"]),
    Route("/predict/batch", batch, methods=["POST"]),
    Route("/check", check),
    Route("/health/live", live),
    Route("/health/ready", ready),
    Route("/info", info),
    Route("/metrics", metrics),
    Route("/openapi.json", openapi),
]
