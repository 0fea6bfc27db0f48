"""The Starlette application around a pipeline."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from serve.http.middleware import RequestId
from serve.http.routes import ROUTES, http_error
from serve.pipeline import Pipeline


def create_app(pipeline: Pipeline) -> Starlette:
    """The server's application; its lifespan starts and stops the pipeline."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with pipeline, pipeline.preloading():
            yield

    app = Starlette(
        routes=ROUTES,
        lifespan=lifespan,
        middleware=[
            Middleware(RequestId),
            Middleware(
                CORSMiddleware,
                allow_origins=pipeline.settings.cors_origins,
                allow_methods=["GET", "POST"],
                allow_headers=["*"],
                expose_headers=["X-Request-ID", "Retry-After"],
            ),
        ],
        exception_handlers={HTTPException: http_error},
    )
    app.state.pipeline = pipeline
    return app
