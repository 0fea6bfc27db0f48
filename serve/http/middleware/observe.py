"""Access log and metrics: one line and one sample for each request, when it ends."""

from __future__ import annotations

import logging
import time

from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from serve.http.middleware.base import Layer, Sent
from serve.http.record import RequestRecord, logged
from serve.http.replies import error_response
from serve.metrics import Metrics

_LOG = logging.getLogger("serve.requests")
# Machines request these every second; they are not logged.
_QUIET = ("/health/", "/metrics")


class Observed(Layer):
    """Times, counts and logs each request; an uncaught exception becomes `internal`.

    The path is logged percent-encoded, without the query, which may contain a link.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        super().__init__(app)
        self._metrics = metrics

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and observe its response."""
        start = time.perf_counter()
        record = scope["state"]["record"] = RequestRecord()
        sent = Sent(send)
        try:
            await self.app(scope, receive, sent)
        except Exception as error:
            request_id = scope["state"]["request_id"]
            failure = logged(error, request_id)
            record.code = failure.code
            if sent.status:  # the answer has begun: we can only abort the connection
                raise
            await error_response(failure, request_id)(scope, receive, sent)
        finally:
            # 499 is nginx's status for a client that disconnected before the response.
            self._note(scope, record, sent.status or 499, sent.size, time.perf_counter() - start)

    def _note(
        self, scope: Scope, record: RequestRecord, status: int, size: int, seconds: float
    ) -> None:
        self._metrics.http_request(route_of(scope), status, seconds)
        level = logging.DEBUG if scope["path"].startswith(_QUIET) else logging.INFO
        if not _LOG.isEnabledFor(level):
            return
        fields = {
            "request_id": scope["state"]["request_id"],
            "method": scope["method"],
            "path": scope.get("raw_path", b"").decode("latin-1")[:200],
            "status": status,
            "code": record.code,
            "bytes": size,
            "seconds": round(seconds, 6),
            "cached": record.cached,
            "stages_ms": record.stages_ms,
            "client": (scope.get("client") or (None,))[0],
            "key": record.key,
            "trace_id": scope["state"].get("trace_id"),
        }
        _LOG.log(level, "request", extra={"fields": fields})


def route_of(scope: Scope) -> str:
    """The route's path template, so that the number of metric labels stays small."""
    route = scope.get("route")
    if route is None:  # refused before routing, or no such route
        routes = scope["app"].routes if "app" in scope else ()
        known = (r for r in routes if isinstance(r, Route) and r.path == scope["path"])
        route = next(known, None)
    return getattr(route, "path", "other")
