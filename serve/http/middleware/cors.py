"""CORS whose refusals look like all other errors."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from serve.errors import BadRequest
from serve.http.replies import error_response


class Cors(CORSMiddleware):
    """Starlette's middleware, which itself refuses in plain text."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """The answer to a preflight request."""
        answer = super().preflight_response(request_headers)
        return answer if answer.status_code == 200 else _Refusal(answer)


class _Refusal(Response):
    def __init__(self, answer: Response) -> None:
        super().__init__(status_code=answer.status_code)
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = BadRequest(f"{bytes(self._answer.body).decode()}.")
        response = error_response(error, scope["state"]["request_id"])
        for name, value in self._answer.headers.items():
            response.headers.setdefault(name, value)
        await response(scope, receive, send)
