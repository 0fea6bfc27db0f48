"""One client: asks in some manner, and tells what came of it."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal, Self

import httpx

from tests.chaos import rude
from tests.chaos.asks import Ask
from tests.chaos.media import Answer
from tests.chaos.verdict import UNANSWERED, Verdict, judge

#: How a client asks, and how often of all times. One that leaves does so at some moment between
#: its first byte and its answer, after some events, or with half of its body sent.
Manner = Literal[
    "plainly", "by events", "slowly", "leaving", "leaving events", "sending half", "in a drip"
]
MANNERS: dict[Manner, int] = {
    "plainly": 10,
    "by events": 4,
    "slowly": 1,
    "leaving": 4,
    "leaving events": 2,
    "sending half": 2,
}
#: Not a code of the server: the client left before its answer.
DEPARTED = "departed"
#: Nor this: the server hung up.
CUT_OFF = "cut off"
# Far longer than the server may take for anything.
_PATIENCE_S = 90.0
_EVENTS = {"Accept": "text/event-stream"}
_LEAVING_S = 2.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one track; `began` and `ended` are seconds of the monotonic clock."""

    ask: Ask
    manner: Manner
    verdict: Verdict
    began: float
    ended: float

    @property
    def code(self) -> str:
        """The answer's code, "ok", DEPARTED or UNANSWERED."""
        return self.verdict.code


class Client:
    """Asks a server; `references` are the right answers of good tracks, by name.

    There is a connection for each request, so that none is closed by the server just as it is taken
    up again; or with `one_connection`, one for them all.
    """

    def __init__(
        self, url: str, references: Mapping[str, Answer], *, one_connection: bool = False
    ) -> None:
        self._references = references
        most, kept = (1, 1) if one_connection else (None, 0)
        limits = httpx.Limits(max_connections=most, max_keepalive_connections=kept)
        self.http = httpx.AsyncClient(
            base_url=url, timeout=_PATIENCE_S, limits=limits, trust_env=False
        )

    def another(self) -> Client:
        """One of the same server, with one connection."""
        return Client(str(self.http.base_url), self._references, one_connection=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()
        await asyncio.sleep(0)  # transports close in the loop's next turn

    async def ask(self, ask: Ask, manner: Manner, rng: random.Random) -> list[Outcome]:
        """Ask once; the outcome, and after it those of a batch's tracks."""
        began = time.monotonic()
        try:
            verdicts = await self._way(ask, manner, rng)
        except httpx.HTTPError as error:
            verdicts = [Verdict(UNANSWERED, (repr(error),))]
        ended = time.monotonic()
        if verdicts[0].code == DEPARTED:
            verdicts = [verdicts[0]] * (1 + len(ask.batch))
        about = (ask, *ask.batch)
        return [
            Outcome(one, manner, verdict, began, ended)
            for one, verdict in zip(about, verdicts, strict=False)
        ]

    async def _way(self, ask: Ask, manner: Manner, rng: random.Random) -> list[Verdict]:
        whole = "content" in ask.arguments
        if manner == "by events" and not ask.batch:
            return [await self._events(ask)]
        if manner == "leaving events" and not ask.batch:
            return [await self._events(ask, leave_after=rng.randrange(4))]
        if manner == "sending half" and whole:
            return await self._half(ask)
        if manner == "slowly" and whole:
            return await self._post(ask, _slowly(ask.arguments["content"]))
        if manner.startswith("leaving"):
            # Rather soon than late: most answers come soon, too.
            return await self._leave(ask, after_s=_LEAVING_S * rng.random() ** 2)
        return await self._post(ask)

    async def _post(self, ask: Ask, content: AsyncIterator[bytes] | None = None) -> list[Verdict]:
        arguments = ask.arguments
        if content is not None:
            length = {"Content-Length": str(len(arguments["content"]))}
            headers = arguments["headers"] | length
            arguments = arguments | {"content": content, "headers": headers}
        response = await self.http.post(ask.path, **arguments)
        if ask.batch and response.status_code == 200:
            return self._lines(ask, response.text)
        return [self._judge(ask, response)]

    async def drip(self, ask: Ask, at_once: int) -> Outcome:
        """Upload so many bytes at once, and the rest too slowly for any server.

        With none at once it is the head that comes slowly.
        """
        began = time.monotonic()
        content = ask.arguments["content"]
        head = rude.upload_head(content)
        request, at_once = head + content, at_once and len(head) + at_once
        try:
            response = await rude.drip(self.http.base_url.port or 80, request, at_once)
        except TimeoutError:
            verdict = Verdict(UNANSWERED, ("it is still listened to",))
        else:
            verdict = self._judge(ask, response) if response else Verdict(CUT_OFF)
        return Outcome(ask, "in a drip", verdict, began, time.monotonic())

    def _judge(self, ask: Ask, response: httpx.Response) -> Verdict:
        status, headers = response.status_code, response.headers
        return judge(ask, self._references, response.text, status, headers)

    def _lines(self, ask: Ask, text: str) -> list[Verdict]:
        lines = sorted(map(json.loads, text.splitlines()), key=lambda line: line["index"])
        if [line["index"] for line in lines] != list(range(len(ask.batch))):
            return [Verdict(UNANSWERED, (f"{len(lines)} lines for {len(ask.batch)} tracks",))]
        tracks = zip(ask.batch, lines, strict=True)
        return [
            Verdict("ok"),
            # They all have the batch's id.
            *(
                replace(judge(one, self._references, json.dumps(line)), request_id="")
                for one, line in tracks
            ),
        ]

    async def _events(self, ask: Ask, leave_after: int | None = None) -> Verdict:
        arguments = ask.arguments | {"headers": ask.arguments.get("headers", {}) | _EVENTS}
        last, name, count = [], "", 0
        async with self.http.stream("POST", ask.path, **arguments) as response:
            if response.status_code != 200:  # refused before it was begun
                await response.aread()
                return self._judge(ask, response)
            async for line in response.aiter_lines():
                field, _, value = line.partition(": ")
                if field == "event":
                    name, count = value, count + 1
                elif field == "data" and name in ("result", "error"):
                    last.append(value)
                elif field == "data" and leave_after is not None and count > leave_after:
                    return Verdict(DEPARTED)
        if len(last) != 1:
            return Verdict(UNANSWERED, (f"{len(last)} last events",))
        return judge(ask, self._references, last[0])

    async def _leave(self, ask: Ask, after_s: float) -> list[Verdict]:
        asking = asyncio.create_task(self._post(ask))
        await asyncio.wait((asking,), timeout=after_s)
        return await _left(asking)

    async def _half(self, ask: Ask) -> list[Verdict]:
        sent = asyncio.Event()
        asking = asyncio.create_task(self._post(ask, _half(ask.arguments["content"], sent)))
        asking.add_done_callback(lambda _: sent.set())  # refused before
        await sent.wait()
        return await _left(asking)

    async def probe(self, path: str) -> httpx.Response:
        """Ask for another address."""
        return await self.http.get(path)


async def _left(asking: asyncio.Task[list[Verdict]]) -> list[Verdict]:
    if asking.done():
        return asking.result()
    asking.cancel()
    with suppress(asyncio.CancelledError, httpx.HTTPError):
        return await asking
    return [Verdict(DEPARTED)]


async def _slowly(content: bytes) -> AsyncIterator[bytes]:
    size = len(content) // 8 + 1
    for at in range(0, len(content), size):
        yield content[at : at + size]
        await asyncio.sleep(0.05)


async def _half(content: bytes, sent: asyncio.Event) -> AsyncIterator[bytes]:
    yield content[: len(content) // 2]
    sent.set()
    await asyncio.Event().wait()
