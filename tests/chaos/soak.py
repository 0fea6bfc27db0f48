"""The order of a soak: peace, a crowd with hazards, peace again, and the account."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from benchmarks.servers import Server, free_port, running
from serve.settings import PREFIX
from tests.chaos import account as accounts
from tests.chaos.account import Account
from tests.chaos.asks import MAX_BODY_BYTES, MAX_REQUESTS, Asker
from tests.chaos.client import Client
from tests.chaos.crowd import BUSIEST_S, Crowd, burst
from tests.chaos.footprint import Footprint
from tests.chaos.hazards import Hazards, starved, victims
from tests.chaos.media import Answer, good_tracks, references
from tests.standin import StandIn

DECODERS = 2
# In which failures of YouTube's are forgotten.
_FORGOTTEN_S = 10.0
#: Small limits, so that a soak meets them; where a code's time is told, `account` knows it.
SETTINGS: dict[str, object] = {
    "decoders": DECODERS,
    "max_requests": MAX_REQUESTS,
    "max_body_bytes": MAX_BODY_BYTES,
    "deadline_s": 10,
    "youtube_timeout_s": 2,
    "youtube_retries": 1,
    "breaker_failures": 3,
    "breaker_window_s": _FORGOTTEN_S,
    "breaker_pause_s": 1,
    "cache_entries": 200,
    "cache_memory_entries": 32,
    "cache_failure_age_s": accounts.FAILURE_AGE_S,
    "batch_deadline_s": 60,
    "client_timeout_s": 4,
    "log_level": "error",
}
_LOOK_S = 0.2
# So long nothing can be started, in seconds: starts are tried several times; and how often.
_STARVED_S, _STARVED_EVERY_S = 2.0, 60.0
# What is asked for meanwhile.
_WHILE_STARVED = ("upload", "form", "video: m4a", "batch of links", "zip")
# Clients in peace; with the tracks of batches that is less than MAX_REQUESTS.
_PEACEFUL = 4
# In which it has to come to rest, and to be done with everything.
_REST_S = 60.0
_STOP_S = 40.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How long (seconds of the crowd), by which random numbers, and how many clients."""

    duration_s: float
    seed: int
    clients: int = 6


class Soak:
    """One server and all that is done to it."""

    def __init__(
        self,
        plan: Plan,
        server: Server,
        youtube: StandIn,
        temporary: Path,
        say: Callable[[str], None],
    ) -> None:
        self.plan = plan
        self.account = Account()
        self._server = server
        self._youtube = youtube
        self._temporary = temporary
        self._say = say
        self._rng = random.Random(plan.seed)
        self._asked_before = 0
        # Requests that could not be begun for want of a descriptor.
        self._starved = 0

    async def run(self, tracks: Mapping[str, bytes], right: Mapping[str, Answer]) -> None:
        """All of it but the server's end; the account has the promises afterwards."""
        asker = Asker(tracks, self._youtube, self._rng)
        async with Client(f"http://127.0.0.1:{self._server.port}", right) as client:
            self._client = client
            await self._run(asker, client)

    async def _run(self, asker: Asker, client: Client) -> None:
        account = self.account
        metrics = (await client.probe("/metrics")).text
        self._say("in peace, everything once")
        await self._peace(asker)
        await burst(asker, client, self._rng, account)
        before = await self._rest()
        self._say(f"{self.plan.clients} clients, kills and bursts for {self.plan.duration_s:g} s")
        crowd = Crowd(asker, client, self._server, self._rng, account)
        async with asyncio.timeout(self.plan.duration_s + 2 * _REST_S):
            await crowd.run(self.plan.duration_s, self.plan.clients, self._tell)
        self._say("nothing can be started")
        rounds = 1 + int(self.plan.duration_s / _STARVED_EVERY_S)
        broken = [broken for _ in range(rounds) async for broken in self._starve(asker)]
        account.promise("decoders live after starts that failed", self._starved, broken)
        self._say("in peace again")
        await self._calmed(asker)
        await self._peace(asker)
        after = await self._rest(before)
        account.settle()
        now = (await client.probe("/metrics")).text
        outcomes = account.outcomes
        account.promise(
            "the server's counts are the clients'",
            len(outcomes),
            accounts.counts_disagree(metrics, now, outcomes),
        )
        account.promise("nothing is under way", 1, accounts.busy(now))
        account.promise("nothing is left behind", 1, after.grown(before))
        account.promise("nothing but YouTube is asked", self._asked(), self._youtube.refused)
        account.promise("the stand-in is sound", 1, self._youtube.errors)
        self.footprints = before, after

    async def _starve(self, asker: Asker) -> AsyncIterator[str]:
        """Have no child start for a while, with some to be started; what does not get well again.

        Nobody can connect meanwhile, but who has asks on.
        """
        server, hazards = self._server.process, Hazards(self._rng)
        async with AsyncExitStack() as held:
            clients = [
                await held.enter_async_context(self._client.another()) for _ in _WHILE_STARVED
            ]
            await asyncio.gather(*(client.probe("/health/live") for client in clients))
            with starved(server):
                hazards.kill_all(server)
                asking = [
                    asyncio.create_task(client.ask(asker.ask(kind), "plainly", self._rng))
                    for client, kind in zip(clients, _WHILE_STARVED, strict=True)
                ]
                await asyncio.sleep(_STARVED_S)
            found = [o for outcomes in await asyncio.gather(*asking) for o in outcomes]
        self.account.crowd += found
        self._starved += sum(outcome.code == "overloaded" for outcome in found)
        self.account.kills += hazards.kills
        end = time.monotonic() + BUSIEST_S
        while (alive := len(victims(server).get("decoder", ()))) < DECODERS:
            if time.monotonic() > end:
                yield f"{alive} of {DECODERS} decoders live"
                return
            await asyncio.sleep(_LOOK_S)

    async def _peace(self, asker: Asker) -> None:
        """Every kind of request once, fewer at a time than the server takes."""
        kinds = iter(asker.kinds())

        async def ask() -> None:
            for kind in kinds:
                self.account.calm += await self._client.ask(asker.ask(kind), "plainly", self._rng)

        async with asyncio.TaskGroup() as asking:
            for _ in range(_PEACEFUL):
                asking.create_task(ask())

    def _asked(self) -> int:
        """How much YouTube was asked; what is known of that is forgotten."""
        self._asked_before += len(self._youtube.log)
        self._youtube.log.clear()
        return self._asked_before

    def _tell(self, left_s: float) -> None:
        self._say(f"{len(self.account.outcomes)} outcomes, {left_s:.0f} s to go")
        self._asked()

    async def _calmed(self, asker: Asker) -> None:
        """Wait until links are taken again, and no failure counts any more."""
        async with asyncio.timeout(_REST_S):
            code = ""
            while code != "ok":
                found = await self._client.ask(asker.ask("video: m4a"), "plainly", self._rng)
                self.account.crowd += found
                code = found[0].code
                await asyncio.sleep(_LOOK_S)
            # In peace there are failures of each kind, too: as many as are taken by themselves.
            await asyncio.sleep(_FORGOTTEN_S)

    async def _rest(self, before: Footprint | None = None) -> Footprint:
        """The footprint when nothing is under way; with `before`, when it is no larger than that.

        What does not come about in time is the account's business.
        """
        end = time.monotonic() + _REST_S
        while True:
            busy = any(accounts.busy((await self._client.probe("/metrics")).text))
            now = Footprint.of(self._server.process, self._temporary)
            larger = before is not None and any(now.grown(before))
            if not (busy or larger) or time.monotonic() > end:
                return now
            await asyncio.sleep(_LOOK_S)


def soak(plan: Plan, settings: Mapping[str, object], say: Callable[[str], None]) -> Soak:
    """All of a soak, with these settings besides its own; what is left of it is its account."""
    say("good tracks, and their right answers")
    tracks = good_tracks()
    right = references(tracks)
    with TemporaryDirectory(prefix="chaos-") as name, StandIn() as youtube:
        folder = Path(name)
        temporary, log = folder / "tmp", folder / "log"
        temporary.mkdir()
        port = free_port()
        own = {"cache": folder / "cache", "port": port} | SETTINGS | dict(settings)
        environment = {PREFIX + key.upper(): str(value) for key, value in own.items()}
        environment |= youtube.env() | {"TMPDIR": str(temporary)}
        # Its standard error goes to a file, and it keeps its process.
        command = ("sh", "-c", 'exec "$@" 2>"$0"', str(log), sys.executable, "-m", "serve")
        with running(command, port, "/health/ready", environment) as server:
            done = Soak(plan, server, youtube, temporary, say)
            asyncio.run(done.run(tracks, right))
            left = list(_stopped(server))
        account, lines = done.account, log.read_text()
        left += [f"a temporary file: {path.name}" for path in temporary.iterdir()]
        account.promise("it ends when told to, and nothing is left", 1, left)
        account.promise("its log has no surprises", 1 + lines.count("\n"), accounts.alarms(lines))
    return done


def _stopped(server: Server) -> Iterator[str]:
    """End a server as a supervisor does; what is left of it, or wrong with its end."""
    children = server.tree()[1:]
    server.process.send_signal(signal.SIGTERM)
    try:
        if code := server.process.wait(_STOP_S):
            yield f"it ended with {code}"
    except psutil.TimeoutExpired:
        yield "it does not end"
    _, alive = psutil.wait_procs(children, _STOP_S)
    yield from (f"still there: {process}" for process in alive)
