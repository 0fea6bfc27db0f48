"""The parts of the server that a request needs."""

from __future__ import annotations

from starlette.requests import Request

from serve.http.drain import Drain
from serve.pipeline import Pipeline


def pipeline_of(request: Request) -> Pipeline:
    """The pipeline that classifies tracks."""
    pipeline: Pipeline = request.app.state.pipeline
    return pipeline


def drain_of(request: Request) -> Drain:
    """The drain, which knows whether the server is stopping."""
    drain: Drain = request.app.state.drain
    return drain


def request_id_of(request: Request) -> str:
    """The id of the request, which every response repeats."""
    request_id: str = request.state.request_id
    return request_id
