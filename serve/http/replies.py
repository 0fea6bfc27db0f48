"""Answers and errors as HTTP responses."""

from __future__ import annotations

import math
from typing import Any, get_args

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from serve.answer import Extra, Failure
from serve.errors import BadRequest, SlowClient, TopgenreError

#: Values of `include`, each of which adds a part to the answer.
EXTRAS: tuple[str, ...] = get_args(Extra)


class Json(Response):
    """A JSON body; encodes long answers four times as fast as the standard library."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The body as bytes of JSON."""
        return to_json(content)


def included(request: Request) -> frozenset[str]:
    """The values of the request's `include`; raise BadRequest for an unknown one."""
    given = ",".join(request.query_params.getlist("include"))
    names = frozenset(name for part in given.split(",") if (name := part.strip()))
    if names.difference(EXTRAS):
        raise BadRequest(f"include takes {' and '.join(EXTRAS)}, separated by commas.")
    return names


def error_response(error: TopgenreError, request_id: str) -> Response:
    """An error response with its status and, if it is known, Retry-After in whole seconds."""
    headers = {"Cache-Control": "no-store"}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    if isinstance(error, SlowClient):  # we do not wait for the rest of its body (RFC 9110, 15.5.9)
        headers["Connection"] = "close"
    return Json(Failure.of(error, request_id).body(), error.status, headers)
