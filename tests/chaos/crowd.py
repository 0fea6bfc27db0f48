"""Many clients at once, bursts of more, and hazards meanwhile."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

import httpx

from benchmarks.servers import Server
from tests.chaos.account import Account
from tests.chaos.asks import MAX_REQUESTS, Asker
from tests.chaos.client import CUT_OFF, MANNERS, Client
from tests.chaos.hazards import Hazards
from tests.chaos.rude import flood

#: What must be told at any time; not the tracks.
PROBES = ("/", "/health/live", "/health/ready", "/metrics", "/info", "/openapi.json")
# Shortest and longest pauses between hazards, in seconds.
_KILL_S, _BURST_S, _PROBE_S, _TELL_S = (1.0, 5.0), (5.0, 15.0), (0.5, 1.0), (10.0, 10.0)
_SLOW_S, _FLOOD_S = (0.0, 10.0), (2.0, 10.0)
# What slow clients send at once: not even a head, too little for a decoder to begin, and more.
_AT_ONCE = (0, 1, 20_000, 20_000, 200_000, 200_000)
# Between looks at the health during a flood, in seconds.
_LOOK_S = 0.1
#: How long it may take until a decoder is there again, or health is told, on the busiest machine.
BUSIEST_S = 30.0


class Crowd:
    """Everything at once; the account has what came of it."""

    def __init__(
        self, asker: Asker, client: Client, server: Server, rng: random.Random, account: Account
    ) -> None:
        self._asker = asker
        self._client = client
        self._server = server
        self._rng = rng
        self._account = account
        self._hazards = Hazards(rng)
        self._rounds = asker.rounds()
        self._probes = 0
        self._unwell: list[str] = []
        self._slow = 0
        self._borne: list[str] = []
        self._floods = self._looks = 0
        self._dry: list[str] = []
        self._drowned: list[str] = []

    async def run(self, duration_s: float, clients: int, tell: Callable[[float], None]) -> None:
        """Go on until the time is over, and wait for what has begun; `tell` how much is left."""
        self._ready_at = time.monotonic()
        self._end = self._ready_at + duration_s

        async def told() -> None:
            tell(max(0.0, self._end - time.monotonic()))

        async with asyncio.TaskGroup() as tasks:
            for _ in range(clients):
                tasks.create_task(self._asks())
            for what, pauses in (
                (self._strike, _KILL_S),
                (self._burst, _BURST_S),
                (self._drip, _SLOW_S),
                (self._flood, _FLOOD_S),
                (self._probe, _PROBE_S),
                (told, _TELL_S),
            ):
                tasks.create_task(self._regularly(what, pauses))
        account = self._account
        account.kills += self._hazards.kills
        account.promise("health, metrics and page under load", self._probes, self._unwell)
        account.promise("children were killed", len(account.kills), ())
        account.promise("slow clients were told so, or cut off", self._slow, self._borne)
        account.promise("requests sent ahead were answered", self._floods, self._dry)
        account.promise("health was told during floods", self._looks, self._drowned)

    async def _asks(self) -> None:
        for kind in self._rounds:
            if time.monotonic() > self._end:
                return
            (manner,) = self._rng.choices(list(MANNERS), list(MANNERS.values()))
            ask = self._asker.ask(kind)
            self._account.crowd += await self._client.ask(ask, manner, self._rng)

    async def _regularly(
        self, what: Callable[[], Awaitable[None]], pauses: tuple[float, float]
    ) -> None:
        while (left := self._end - time.monotonic()) > 0:
            await asyncio.sleep(min(left, self._rng.uniform(*pauses)))
            await what()

    async def _strike(self) -> None:
        # Looking through processes takes its time, which is the clients'.
        await asyncio.to_thread(self._hazards.strike, self._server.process)

    async def _burst(self) -> None:
        await burst(self._asker, self._client, self._rng, self._account)

    async def _drip(self) -> None:
        asks = [(self._asker.slow_upload(), at_once) for at_once in _AT_ONCE]
        outcomes = await asyncio.gather(*(self._client.drip(*ask) for ask in asks))
        self._slow += len(outcomes)
        for outcome, at_once in zip(outcomes, _AT_ONCE, strict=True):
            # Who does not even finish a head has asked for nothing.
            if at_once:
                self._account.crowd.append(outcome)
            if (outcome.code == CUT_OFF) == bool(at_once):
                self._borne.append(f"{at_once} bytes at once: {outcome.code}")

    async def _flood(self) -> None:
        port = self._server.port
        flooding = asyncio.create_task(flood(port))
        while not flooding.done():
            self._looks += 1
            try:
                async with asyncio.timeout(BUSIEST_S):
                    response = await self._client.probe("/health/live")
            except (TimeoutError, httpx.HTTPError) as error:
                self._drowned.append(repr(error))
            else:
                if response.status_code != 200:
                    self._drowned.append(f"/health/live: {response.status_code}")
            await asyncio.wait((flooding,), timeout=_LOOK_S)
        self._floods += 1
        self._dry += flooding.result()

    async def _probe(self) -> None:
        for path in PROBES:
            self._probes += 1
            response = await self._client.probe(path)
            if path == "/health/ready" and self._starting(response):
                continue
            if response.status_code != 200:
                self._unwell.append(f"{path}: {response.status_code}")

    def _starting(self, response: httpx.Response) -> bool:
        """It may say that it is not ready while no decoder lives, but not for long."""
        now = time.monotonic()
        if response.status_code == 200:
            self._ready_at = now
            return False
        return response.json()["code"] == "not_ready" and now - self._ready_at < BUSIEST_S


async def burst(asker: Asker, client: Client, rng: random.Random, account: Account) -> None:
    """Three times the tracks that the server takes, at one moment."""
    asks = [asker.ask("upload") for _ in range(3 * MAX_REQUESTS)]
    for outcomes in await asyncio.gather(*(client.ask(ask, "plainly", rng) for ask in asks)):
        account.crowd += outcomes
