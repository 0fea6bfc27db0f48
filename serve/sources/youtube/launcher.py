"""Where downloaders come from: forked from a process with yt-dlp loaded, or started anew."""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import suppress
from typing import Any, Self

from serve.backoff import pauses_s
from serve.sources.youtube.downloader import Child, spawn
from serve.sources.youtube.preloaded import Fingerprint, Template

_LOG = logging.getLogger(__name__)
# A process that does not live long is tried again, slower and slower.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 60.0


class Launcher:
    """Within its context yt-dlp is kept loaded; outside, each downloader loads it for itself.

    Entering waits for nothing: until yt-dlp is loaded, downloaders are started anew. Elsewhere
    than on Linux, where a process that has not executed anything since its fork is not to be
    trusted (macOS) or does not exist, they always are.
    """

    def __init__(self) -> None:
        self._template: Template | None = None
        self._all: list[Template] = []
        self._keeping: asyncio.Task[None] | None = None
        #: what the last downloader said it is refused; None before there was one
        self.confinement: dict[str, Any] | None = None

    @property
    def preloaded(self) -> bool:
        """Whether the next downloader can be forked."""
        return self._template is not None and not self._template.over.is_set()

    async def __aenter__(self) -> Self:
        if sys.platform == "linux":
            self._keeping = asyncio.create_task(self._keep())
        return self

    async def __aexit__(self, *_: object) -> None:
        """End what is loaded, and with it what was forked."""
        if self._keeping is not None:
            self._keeping.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeping
        for template in self._all:
            template.kill()
        await asyncio.gather(*(template.wait() for template in self._all))

    async def start(self) -> Child:
        """A downloader that waits for its job; a TopgenreError where none can be started."""
        template = self._template
        if template is not None and not template.over.is_set():
            if template.fingerprint != Fingerprint.now():
                template.retire()
            elif (child := await template.fork()) is not None:
                return child
        return await spawn()

    def told(self, confinement: dict[str, Any]) -> None:
        """Note what a downloader says it is refused."""
        self.confinement = confinement

    async def _keep(self) -> None:
        """Have a loaded process at all times, one at a time."""
        loop = asyncio.get_running_loop()
        pauses = pauses_s(_FIRST_PAUSE_S, _LONGEST_PAUSE_S)
        while True:
            began = loop.time()
            try:
                await self._have_one()
            except Exception as error:  # whatever it was, the next one may come up
                _LOG.error("yt-dlp can't be loaded ahead: %s", error)
            if loop.time() - began > _LONGEST_PAUSE_S:
                pauses = pauses_s(_FIRST_PAUSE_S, _LONGEST_PAUSE_S)
            await asyncio.sleep(next(pauses))

    async def _have_one(self) -> None:
        template = Template.start()
        # Those that were retired may still have children at work.
        self._all = [*(one for one in self._all if not one.reaped), template]
        await asyncio.shield(template.loaded)
        self._template = template  # or it is over already
        await template.over.wait()
        self._template = None
