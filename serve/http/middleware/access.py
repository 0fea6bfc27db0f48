"""Access control: the Host header, the origin, the API key and the rate limits."""

from __future__ import annotations

import ipaddress

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from serve.errors import BadRequest, TooManyRequests, TopgenreError, Unauthorized
from serve.http.middleware.base import Layer, with_headers
from serve.http.predict.events import heard_out
from serve.http.rates import Rates, client_address
from serve.http.record import RequestRecord, record_of
from serve.http.replies import error_response
from serve.keys import Keys
from serve.metrics import Metrics
from serve.settings import Settings

#: Paths that need no key: they cost almost nothing and reveal nothing about users.
OPEN = {"/", "/docs", "/info", "/openapi.json", "/health/live", "/health/ready"}
OPEN_UNDER = ("/web/",)
_TRACKS = "/predict"
# Requested by probes, which use the server's address as its host name.
_PROBES = "/health/"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Access(Layer):
    """Refuses requests that are not allowed, before routing; must be wrapped in `Observed`."""

    def __init__(self, app: ASGIApp, settings: Settings, rates: Rates, metrics: Metrics) -> None:
        super().__init__(app)
        self._keys = Keys(settings.api_keys)
        self._hosts = frozenset(map(str.lower, allowed_hosts(settings)))
        self._origins = frozenset(settings.cors_origins)
        self._rates = rates
        self._metrics = metrics

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it with an error."""
        record, headers = record_of(scope), Headers(scope=scope)
        path: str = scope["path"]
        tracks = path == _TRACKS or path.startswith(_TRACKS + "/")
        try:
            self._admit(path, headers, record)
        except TopgenreError as error:
            response = self._refusal(scope, record, error, counted=tracks)
            if isinstance(error, Unauthorized):
                response.headers["WWW-Authenticate"] = 'Bearer realm="topgenre"'
            return await response(scope, receive, send)
        # An event stream that is only being told to stop does not count as a track.
        free = not tracks or (path == _TRACKS and heard_out(headers))
        allowance = None if free else await self._rates.take(record.key, client_address(scope))
        if allowance is None:
            return await self.app(scope, receive, send)
        if allowance.retry_after_s is not None:
            refused = TooManyRequests(retry_after_s=allowance.retry_after_s)
            response = self._refusal(scope, record, refused, counted=True)
            response.headers.update(allowance.headers)
            return await response(scope, receive, send)
        more = [(k.lower().encode(), v.encode()) for k, v in allowance.headers.items()]
        return await self.app(scope, receive, with_headers(send, lambda: more))

    def _admit(self, path: str, headers: Headers, record: RequestRecord) -> None:
        host, is_open = headers.get("host", ""), path in OPEN or path.startswith(OPEN_UNDER)
        named = not self._hosts or _host_name(host) in self._hosts
        if not (named or path.startswith(_PROBES)):
            raise BadRequest("This server is not known by that host name.")
        if not (is_open or all(self._admits(o, host) for o in headers.getlist("origin"))):
            raise BadRequest("Pages of that origin may not use this server.")
        if self._keys:
            if given := _key(headers):
                record.key = self._keys.name_of(given.encode("latin-1"))
            if record.key is None and not is_open:
                raise Unauthorized("This API key is not known." if given else None)

    def _admits(self, origin: str, host: str) -> bool:
        """Whether this origin is in the settings, or is that of our own page.

        For any other, a browser would withhold the answer only after the work was done.
        """
        if "*" in self._origins or origin in self._origins:
            return True
        # The scheme is not compared: behind a proxy it is unknown here.
        return bool(host) and origin.partition("://")[2].lower() == host.lower()

    def _refusal(
        self, scope: Scope, record: RequestRecord, error: TopgenreError, *, counted: bool
    ) -> Response:
        record.code = error.code
        if counted:
            self._metrics.requests.labels(error.code).inc()
            self._metrics.failed(error)
        return error_response(error, scope["state"]["request_id"])


def allowed_hosts(settings: Settings) -> tuple[str, ...]:
    """Host names that requests may use; empty means any.

    With DNS rebinding, a page makes its own host name resolve to this machine, so that a browser
    takes the server for the page's own origin. If any origin may call anyway, the page gains
    nothing. If origins are listed, a server that listens on loopback only accepts loopback names.
    """
    if settings.hosts or "*" in settings.cors_origins or not is_loopback(settings.host):
        return settings.hosts
    return _LOOPBACK


def is_loopback(host: str) -> bool:
    """Whether a server that listens there can be reached from its own machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _host_name(host: str) -> str:
    name = host.rpartition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
    return name.lower().rstrip(".")


def _key(headers: Headers) -> str:
    kind, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if kind.lower() == "bearer" else headers.get("x-api-key", "")
