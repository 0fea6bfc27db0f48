"""The server process: the application under uvicorn, and its orderly end."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from serve import logs
from serve.errors import BadRequest
from serve.http.app import create_app
from serve.http.connection import BoundedProtocol, Turns
from serve.http.drain import Drain
from serve.http.middleware.access import is_loopback
from serve.pipeline import Pipeline
from serve.settings import Settings, SettingsError

_LOG = logging.getLogger(__name__)
# What clients may take to read their last answers; they are made by then.
_READING_S = 5


class Server(uvicorn.Server):
    """uvicorn, which closes its port and counts down only after the application was drained.

    The first signal (SIGTERM, SIGINT) begins that, as `should_exit` does; a second one hurries it.
    """

    def __init__(self, app: Starlette, settings: Settings) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=settings.host,
                port=settings.port,
                http=partial(BoundedProtocol, settings, Turns()),  # type: ignore[arg-type]
                lifespan="on",
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # the application does it, for proxies that it is told of
                timeout_graceful_shutdown=_READING_S,
            )
        )
        self._settings = settings
        self._pipeline: Pipeline = app.state.pipeline
        self._drain: Drain = app.state.drain
        app.state.pipeline.metrics.watch(
            "connections", "Clients connected", lambda: len(self.server_state.connections)
        )
        self._loop: asyncio.AbstractEventLoop | None = None

    async def on_tick(self, counter: int) -> bool:
        """Several times a second: whether to stop, as told or because the model has failed."""
        return await super().on_tick(counter) or self._pipeline.failed

    async def main_loop(self) -> None:
        """Serve until told to stop, then let accepted work finish while still listening."""
        self._loop = asyncio.get_running_loop()
        await super().main_loop()
        settings = self._settings
        _LOG.info(
            "stopping: not ready from now on, no new tracks in %g s, %g s for those under way",
            settings.stop_grace_s,
            settings.stop_deadline_s,
        )
        await self._drain.drain(settings.stop_grace_s, settings.stop_deadline_s)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop, or stop at once where that has begun already."""
        if self.should_exit and self._loop is not None:
            self._loop.call_soon_threadsafe(self._drain.hurry)
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals meanwhile. A server that was told to stop and did has not failed."""
        # Elsewhere than in the main thread (tests) there is nothing to handle.
        main = threading.current_thread() is threading.main_thread()
        signals = (signal.SIGINT, signal.SIGTERM) if main else ()
        before = {number: signal.signal(number, self.handle_exit) for number in signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def run(settings: Settings) -> int:
    """Serve until told to stop; raises ModelFileError or DeviceError before anything listens."""
    logs.configure(settings)
    if not is_loopback(settings.host) and not settings.api_keys:
        _LOG.warning(
            "anybody who reaches %s may use this server: it listens beyond this machine "
            "and asks for no API key (TOPGENRE_API_KEYS)",
            settings.host,
        )
    pipeline = Pipeline.from_settings(settings)
    try:
        server = Server(create_app(pipeline), settings)
    except SettingsError as error:
        _LOG.error("%s", error)
        return BadRequest.exit_code
    try:
        server.run()
    except SystemExit:  # it could not start, and has said why
        return 1
    return 0 if server.started and not pipeline.failed else 1
