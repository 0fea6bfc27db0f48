"""What a request finds of the server that it has come to."""

from __future__ import annotations

from starlette.requests import Request

from serve.http.drain import Drain
from serve.pipeline import Pipeline


def pipeline_of(request: Request) -> Pipeline:
    """The way of its tracks."""
    pipeline: Pipeline = request.app.state.pipeline
    return pipeline


def drain_of(request: Request) -> Drain:
    """What knows whether the server is being stopped."""
    drain: Drain = request.app.state.drain
    return drain


def request_id_of(request: Request) -> str:
    """Its own id, which every answer has."""
    request_id: str = request.state.request_id
    return request_id
