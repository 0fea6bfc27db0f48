"""A real server on a real port, in a thread of the tests' process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from serve.http.app import create_app
from serve.pipeline import Pipeline
from serve.server import Server
from serve.settings import Settings


@dataclass(frozen=True)
class Running:
    """A server that answers at `url`."""

    url: str
    pipeline: Pipeline

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=30, trust_env=False, **options)

    def metric(self, name: str, **labels: str) -> float:
        """The value of one sample in /metrics; 0 where it does not exist yet."""
        wanted = name
        if labels:
            inside = ",".join(f'{key}="{value}"' for key, value in labels.items())
            wanted = f"{name}{{{inside}}}"
        with self.client() as client:
            for line in client.get("/metrics").text.splitlines():
                key, _, value = line.rpartition(" ")
                if key == wanted:
                    return float(value)
        return 0.0


@contextmanager
def running_server(**settings: Any) -> Iterator[Running]:
    """Start a server with these settings, wait until it is ready, and stop it in the end.

    It does not keep yt-dlp loaded, which few tests are about.
    """
    settings = {"youtube_preload": False, "stop_grace_s": 0, "port": 0} | settings
    pipeline = Pipeline.from_settings(Settings(**settings))
    server = Server(create_app(pipeline), pipeline.settings)
    started = threading.Event()
    failure: list[BaseException] = []

    async def serve() -> None:
        serving = asyncio.ensure_future(server.serve())
        while not server.started and not serving.done():
            await asyncio.sleep(0.01)
        started.set()
        await serving

    def run() -> None:
        try:
            with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
                runner.run(serve())
        except BaseException as error:
            failure.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=run, name="server")
    thread.start()
    try:
        assert started.wait(60)
        assert server.started, failure
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Running(f"http://127.0.0.1:{port}", pipeline)
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()
    assert not failure
