"""Single flight across replicas: one job for all requests for the same track at the same time.

The replica that takes a key's lease in Redis does the job, renews the lease, and writes progress
and outcome to a stream, which the other replicas read. If the holder is killed, its lease expires
and another replica takes it. A replica that can't reach Redis works alone.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import Any

from pydantic import ValidationError

from serve.answer import Answer, OnProgress, Outcome, Progress, Work, answer_type
from serve.cache.redis import PREFIX
from serve.cache.store import packed, unpacked
from serve.errors import TopgenreError, from_code
from serve.replicas.redis import AloneError, SharedRedis, milliseconds

_LEASE_S = 4.0
# How many times a lease is renewed before it would expire.
_RENEWALS = 4
# Seconds that the stream stays readable after an answer: a replica that checked the cache just
# before the answer was stored there still finds it.
_AFTERWARDS_S = 2.0
_STREAM_S = 60.0
# A lease that was lost because Redis restarted is taken again.
_RENEW = """
local holder = redis.call('get', KEYS[1])
if not holder or holder == ARGV[1] then redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2]) end
"""
_RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then redis.call('del', KEYS[1]) end"


class SharedFlights:
    """Jobs that replicas share, by key.

    A job that has run for `joinable_s` accepts no more waiters: it may hang.
    """

    def __init__(self, shared: SharedRedis, joinable_s: float, lease_s: float = _LEASE_S) -> None:
        self._shared = shared
        self._joinable_s = joinable_s
        self._lease_s = lease_s
        self._renew = shared.script(_RENEW)
        self._release = shared.script(_RELEASE)
        self._telling: set[asyncio.Task[None]] = set()

    async def once(self, key: str, work: Work, on_progress: OnProgress) -> Answer:
        """The outcome of `work`, run here or by another replica; raises its error."""
        while True:
            token = f"{uuid.uuid4().hex}@{time.time():.3f}"
            try:
                if holds := await self._take(key, token):
                    outcome = None
                else:
                    outcome = await self._read_along(key, on_progress)
            except AloneError:
                return await work(on_progress)
            if holds:
                return await self._do(key, token, work, on_progress)
            if isinstance(outcome, TopgenreError):
                raise outcome
            if outcome is not None:
                return outcome

    async def close(self) -> None:
        """Send what is still unsent."""
        await asyncio.gather(*self._telling)

    async def _take(self, key: str, token: str) -> bool:
        redis, lease_ms = self._shared.redis, milliseconds(self._lease_s)
        try:
            asked = self._shared.ask(lambda: redis.set(_lease(key), token, nx=True, px=lease_ms))
            return bool(await asked)
        except BaseException:  # we may hold the lease, and nobody would do the job
            self._in_background(self._give_up(key, token))
            raise

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _do(self, key: str, token: str, work: Work, on_progress: OnProgress) -> Answer:
        told: asyncio.Queue[Progress | Outcome | None] = asyncio.Queue()

        def tell(progress: Progress) -> None:
            on_progress(progress)
            told.put_nowait(progress)

        # In the background: requests here do not wait for messages to other replicas.
        self._in_background(self._tell(key, token, told))
        outcome: Outcome | None = None
        try:
            outcome = await work(tell)
            return outcome
        except TopgenreError as error:
            # A failure that only concerns this server is not shared: another replica takes over.
            outcome = None if error.origin == "server" else error
            raise
        finally:
            told.put_nowait(outcome)

    async def _tell(
        self, key: str, token: str, told: asyncio.Queue[Progress | Outcome | None]
    ) -> None:
        """Write progress to the stream, then the outcome; hold the lease until then."""
        due = time.monotonic() + self._lease_s / _RENEWALS
        while True:
            news: list[Progress | Outcome | None] = []
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, due - time.monotonic())):
                    news.append(await told.get())
            while not told.empty():
                news.append(told.get_nowait())
            with suppress(AloneError):
                await self._write(_told(key, token), news)
            if news and not isinstance(news[-1], Progress):
                break
            if time.monotonic() >= due:
                due = time.monotonic() + self._lease_s / _RENEWALS
                with suppress(AloneError):
                    await self._lease_for(key, token, self._lease_s)
        if isinstance(news[-1], Answer):
            with suppress(AloneError):
                await self._lease_for(key, token, _AFTERWARDS_S)
        else:
            await self._give_up(key, token)

    async def _give_up(self, key: str, token: str) -> None:
        with suppress(AloneError):
            release = partial(self._release, keys=[_lease(key)], args=[token])
            await self._shared.ask(release, anyway=True)

    async def _lease_for(self, key: str, token: str, seconds: float) -> None:
        arguments = [token, milliseconds(seconds)]
        renew = partial(self._renew, keys=[_lease(key)], args=arguments)
        await self._shared.ask(renew, anyway=True)

    async def _write(self, stream: str, news: list[Progress | Outcome | None]) -> None:
        if not news:
            return
        entries = [await asyncio.to_thread(_entry, of) for of in news]
        async with self._shared.redis.pipeline(transaction=False) as writing:
            for entry in entries:
                writing.xadd(stream, entry)
            writing.pexpire(stream, milliseconds(_STREAM_S))
            await self._shared.ask(writing.execute, anyway=True)

    async def _read_along(self, key: str, on_progress: OnProgress) -> Outcome | None:
        """The outcome from the replica that holds the lease; None if none holds it any more."""
        holder = await self._holder(key)
        if holder is None:
            return None
        token = holder.decode()
        if time.time() - _since(token) > self._joinable_s:
            raise AloneError
        stream, last, held = _told(key, token), "0", True
        while True:
            # Once another replica has the lease, nothing more will be written.
            block_s = self._shared.block_s if held else 0.0
            block = milliseconds(block_s) if held else None
            read = partial(self._shared.blocking.xread, {stream: last}, block=block)
            found: Any = await self._shared.ask(read, block_s=block_s)
            entries = found[0][1] if found else []
            for identity, entry in entries:
                last = identity
                said = await asyncio.to_thread(_said, entry)
                if not isinstance(said, Progress):
                    return said
                on_progress(said)
            if not entries:
                if not held:
                    return None
                held = await self._holder(key) == holder

    async def _holder(self, key: str) -> Any:
        return await self._shared.ask(partial(self._shared.redis.get, _lease(key)))


def _lease(key: str) -> str:
    return f"{PREFIX}flight:{key}"


def _told(key: str, token: str) -> str:
    return f"{PREFIX}told:{key}:{token}"


def _since(token: str) -> float:
    """When the lease was taken, in Unix seconds."""
    try:
        return float(token.rpartition("@")[2])
    except ValueError:
        return 0.0


def _entry(news: Progress | Outcome | None) -> dict[Any, Any]:
    if isinstance(news, Progress):
        return {"progress": json.dumps(asdict(news))}
    if isinstance(news, TopgenreError):
        more = {"retry_after_s": news.retry_after_s, "origin": news.origin}
        return {"error": json.dumps({"code": news.code, "text": news.message, **more})}
    value = packed(answer_type().dump_json(news)) if news is not None else None
    return {"left": ""} if value is None else {"answer": value}


def _said(entry: dict[bytes, bytes]) -> Progress | Outcome | None:
    """What an entry says; None if the job was abandoned or the entry is unreadable."""
    try:
        if b"progress" in entry:
            return Progress(**json.loads(entry[b"progress"]))
        if b"error" in entry:
            said = json.loads(entry[b"error"])
            error = from_code(said["code"], said["text"])
            error.retry_after_s, error.origin = said["retry_after_s"], said["origin"]
            return error
        value = unpacked(entry.get(b"answer"))
        return None if value is None else answer_type().validate_json(value)
    except (ValueError, TypeError, KeyError, ValidationError):
        return None
