"""Middleware in plain ASGI: what wraps requests must not hide that a client has left."""

from __future__ import annotations

import re
import uuid

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_GIVEN_ID = re.compile(r"[0-9A-Za-z._-]{1,64}")


class RequestId:
    """Gives each request an id, or keeps the caller's, in `scope["state"]` and `X-Request-ID`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its id."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _GIVEN_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                raw = (b"x-request-id", request_id.encode())
                message["headers"] = [*message.get("headers", ()), raw]
            await send(message)

        await self.app(scope, receive, send_with_id)
        return None
