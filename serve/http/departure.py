"""Work for a client, stopped when the client leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

T = TypeVar("T")


class Departed(Exception):
    """The client has closed its connection: there is nobody to answer."""


class Visit:
    """One request's connection: its body, read once, and word of the client's leaving.

    Starlette does not cancel a handler whose client has left; and while the body is read, nobody
    else may listen on the connection. So the listening starts when the body has ended.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._body_ended = asyncio.Event()

    async def body(self) -> AsyncGenerator[bytes]:
        """The body's blocks as they arrive."""
        async for block in self._request.stream():
            if block:
                yield block
        self._body_ended.set()

    async def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work; raise Departed, with the work cancelled and gone, if the client leaves."""
        working = asyncio.ensure_future(work)
        watching = asyncio.ensure_future(self._departure())
        try:
            await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise Departed
            return await working
        except ClientDisconnect:
            raise Departed from None
        finally:
            for task in (working, watching):
                task.cancel()
            await asyncio.gather(working, watching, return_exceptions=True)

    async def _departure(self) -> None:
        await self._body_ended.wait()
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
