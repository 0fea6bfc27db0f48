"""The server process: the application under uvicorn."""

from __future__ import annotations

import uvicorn

from serve.http.app import create_app
from serve.pipeline import Pipeline
from serve.settings import Settings


def run(settings: Settings) -> int:
    """Serve until told to stop; raises ModelFileError or DeviceError before anything listens."""
    app = create_app(Pipeline.from_settings(settings))
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="auto",
        http="auto",
        lifespan="on",
        ws="none",
        log_level=settings.log_level,
        # Requests end by their own deadline; after it nothing is worth waiting for.
        timeout_graceful_shutdown=int(settings.deadline_s) + 1,
    )
    server = uvicorn.Server(config)
    try:
        server.run()
    except KeyboardInterrupt:  # uvicorn has stopped in order, then passes it on
        return 0
    except SystemExit:  # it could not start, and has said why
        return 1
    return 0 if server.started else 1
