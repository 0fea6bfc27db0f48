"""The handler of each route."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import cast

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from serve.errors import BadRequest, MethodNotAllowed, NotFound, NotReady, ShuttingDown
from serve.http.api.description import describe
from serve.http.bodies import Info, Sandbox, Status, limits_of
from serve.http.predict.batch import batch
from serve.http.predict.track import check, predict
from serve.http.record import record_of
from serve.http.replies import Json, error_response
from serve.http.state import drain_of, pipeline_of, request_id_of

_PACKAGES = ("topgenre", "onnxruntime-gpu", "av", "numpy", "scipy", "yt-dlp", "starlette")


async def live(_: Request) -> Response:
    """The process is running and answers."""
    return Json(Status("live"))


async def ready(request: Request) -> Response:
    """Whether tracks are accepted; 503 if they are not, or soon will not be."""
    if drain_of(request).stopping:
        return error_response(ShuttingDown(), request_id_of(request))
    if not pipeline_of(request).ready:
        return error_response(NotReady(), request_id_of(request))
    return Json(Status("ready"))


async def info(request: Request) -> Response:
    """The model, where it runs, the limits, and the versions of the main libraries."""
    pipeline = pipeline_of(request)
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
            limits=limits_of(settings),
            sandbox=cast(Sandbox, pipeline.sandbox),
            versions={"python": platform.python_version()} | _VERSIONS,
        )
    )


async def metrics(request: Request) -> Response:
    """Metrics in Prometheus' text format."""
    return PlainTextResponse(
        pipeline_of(request).metrics.render(),
        media_type="text/plain; version=0.0.4; charset=utf-8",
    )


async def openapi(_: Request) -> Response:
    """The OpenAPI description of this API."""
    return Json(describe())


async def http_error(request: Request, error: Exception) -> Response:
    """An error of the router, in the same form as all other errors."""
    assert isinstance(error, HTTPException)
    kind = {404: NotFound, 405: MethodNotAllowed}.get(error.status_code, BadRequest)
    record_of(request.scope).code = kind.code
    response = error_response(kind(), request_id_of(request))
    response.headers.update(error.headers or {})
    return response


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except ImportError:  # PackageNotFoundError: not every variant is installed
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
