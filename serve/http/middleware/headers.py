"""Headers of every response: request id, security policy, and whether the connection stays open."""

from __future__ import annotations

import re
import uuid

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from serve.http.drain import Drain
from serve.http.middleware.base import Layer, with_headers

_GIVEN_ID = re.compile(r"[0-9A-Za-z._-]{1,64}")

# The page loads from this server alone, without inline scripts or styles. It plays the file that
# its user has chosen (`blob:`).
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "media-src 'self' blob:",
        "worker-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",  # for browsers that do not know frame-ancestors
    "Referrer-Policy": "no-referrer",
    # The page can record a few seconds.
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_RAW = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]


class ResponseHeaders(Layer):
    """Adds `HEADERS` to every response, and closes connections while the server is stopping."""

    def __init__(self, app: ASGIApp, drain: Drain) -> None:
        super().__init__(app)
        self._drain = drain

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and add the headers to its response."""

        def headers() -> list[tuple[bytes, bytes]]:
            return [*_RAW, (b"connection", b"close")] if self._drain.stopping else _RAW

        await self.app(scope, receive, with_headers(send, headers))


class RequestId(Layer):
    """Gives each request an id, or keeps the caller's, in `scope["state"]` and `X-Request-ID`."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its id."""
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _GIVEN_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        raw = (b"x-request-id", request_id.encode())
        await self.app(scope, receive, with_headers(send, lambda: (raw,)))
