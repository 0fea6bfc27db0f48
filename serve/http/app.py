"""The Starlette application around a pipeline."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from serve.http.drain import Drain
from serve.http.middleware.access import Access
from serve.http.middleware.cors import Cors
from serve.http.middleware.headers import RequestId, ResponseHeaders
from serve.http.middleware.observe import Observed
from serve.http.page import DOCS_ROUTES, PAGE_ROUTES
from serve.http.predict.batch import BatchLimits
from serve.http.rates import RATE_HEADERS, Rates
from serve.http.routes import ROUTES, http_error
from serve.pipeline import Pipeline
from serve.settings import Settings, SettingsError


def create_app(pipeline: Pipeline) -> Starlette:
    """The server's application; its lifespan starts and stops the pipeline.

    Raises SettingsError if a setting needs a package that is not installed.
    """
    settings, drain = pipeline.settings, Drain()
    rates = Rates(settings, pipeline.parts.replicas)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with pipeline, pipeline.remembering(), pipeline.preloading():
            yield

    pipeline.metrics.watch(
        "requests_open",
        "Tracks that a stop would wait for, including those still arriving",
        lambda: drain.under_way,
    )
    app = Starlette(
        routes=[*ROUTES, *DOCS_ROUTES, *PAGE_ROUTES],
        lifespan=lifespan,
        # Outermost first, so that refusals are logged and get CORS headers.
        middleware=[
            *_forwarded(settings),
            Middleware(RequestId),
            *_traced(settings),
            Middleware(Observed, pipeline.metrics),
            Middleware(ResponseHeaders, drain),
            Middleware(
                Cors,
                allow_origins=settings.cors_origins,
                allow_methods=["GET", "POST"],
                allow_headers=["*"],
                expose_headers=["X-Request-ID", "Retry-After", *RATE_HEADERS],
            ),
            Middleware(Access, settings, rates, pipeline.metrics),
        ],
        exception_handlers={HTTPException: http_error},
    )
    # A redirect would repeat the client's Host header, which is untrusted.
    app.router.redirect_slashes = False
    app.state.pipeline = pipeline
    app.state.batches = BatchLimits(pipeline)
    app.state.drain = drain
    app.state.rates = rates
    return app


def _forwarded(settings: Settings) -> list[Middleware]:
    if not settings.trusted_proxies:
        return []
    return [Middleware(ProxyHeadersMiddleware, list(settings.trusted_proxies))]


def _traced(settings: Settings) -> list[Middleware]:
    if not settings.traces:
        return []
    try:
        from serve.http.middleware.tracing import Traced, tracer_provider
    except ImportError as error:  # an optional extra
        raise SettingsError(f"TOPGENRE_TRACES needs the extra otel: {error}") from None
    return [Middleware(Traced, tracer_provider(settings))]
