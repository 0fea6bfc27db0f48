"""The description of the API, in OpenAPI 3.1."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version

from serve.http import examples
from serve.http.operations import (
    ANYWHERE,
    KEYED,
    WITH_KEY,
    Json,
    error_responses,
    json_response,
    operation,
    response_headers,
)
from serve.http.rates import RATE_HEADERS
from serve.http.schemas import SCHEMAS
from serve.http.track_operations import track_paths

_ABOUT = """\
Which genre is this music? A YouTube link or an audio file goes in; the genre of each 1.4-second
clip and of the whole track comes out. Every failure is an object with a text for people (`error`),
a `code` for programs, and whether trying again may help (`retryable`).
"""


def _server() -> Json:
    metrics = {
        "description": "text format 0.0.4",
        "headers": response_headers(),
        "content": {"text/plain": {"schema": {"type": "string"}, "example": examples.METRICS}},
    }
    document = {
        "description": "OpenAPI 3.1",
        "headers": response_headers(),
        "content": {
            "application/json": {"schema": {"type": "object", "additionalProperties": True}}
        },
    }
    found = {
        "/health/live": operation(
            *("live", "server", "The process answers"),
            {"200": json_response("Status", "it does", examples.LIVE)}
            | error_responses("internal"),
        ),
        "/health/ready": operation(
            *("ready", "server", "Tracks are taken"),
            {"200": json_response("Status", "they are", examples.READY)}
            | error_responses("internal", "not_ready", "shutting_down"),
        ),
        "/info": operation(
            *("info", "server", "The model, the limits and the versions"),
            {"200": json_response("Info", "all of it", examples.INFO)} | error_responses(*ANYWHERE),
        ),
        "/metrics": operation(
            *("metrics", "server", "Counts and measures for Prometheus"),
            {"200": metrics} | error_responses(*WITH_KEY),
            **KEYED,
        ),
        "/openapi.json": operation(
            *("openapi", "server", "This document"), {"200": document} | error_responses(*ANYWHERE)
        ),
    }
    return {path: {"get": what} for path, what in found.items()}


def _header(description: str, kind: str = "integer") -> Json:
    return {"description": description, "schema": {"type": kind}}


@cache
def describe() -> Json:
    """The whole description, as a JSON document."""
    limit, remaining, reset = RATE_HEADERS
    return {
        "openapi": "3.1.0",
        "info": {"title": "topgenre", "version": version("topgenre"), "description": _ABOUT},
        "tags": [
            {"name": "tracks", "description": "Tracks in, genres out"},
            {"name": "server", "description": "The server itself"},
        ],
        "paths": track_paths() | _server(),
        "components": {
            "schemas": SCHEMAS,
            "headers": {
                "X-Request-ID": _header("the request's own, or one made for it", "string"),
                "Retry-After": _header("seconds to wait, where that is known"),
                "WWW-Authenticate": _header("how to send a key", "string"),
                limit: _header("where there is a rate: tracks that may be asked for at once"),
                remaining: _header("how many of them are left"),
                reset: _header("seconds until all are"),
            },
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "an API key, where the server asks for one",
                },
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }
