"""Cached outcomes of tracks: answers, and failures that would only recur."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections import OrderedDict
from dataclasses import replace
from typing import Any, Self

from pydantic import ValidationError

from serve.answer import Answer, Outcome, answer_type
from serve.cache.in_time import in_time
from serve.cache.store import PATIENCE_S, Store, StoreError
from serve.errors import TopgenreError, from_code
from serve.metrics import Metrics

_LOG = logging.getLogger(__name__)

# Version of the stored format: increase it when the format changes.
_FORM = 3
# After a failure, the store is not used for this many seconds.
_REST_S = 5.0
# Most answers being written to the store; further ones are only kept in memory.
_MAX_PENDING = 32


class AnswerCache:
    """Outcomes by key: the newest `memory_entries` in memory, answers also in a store.

    An asynchronous context manager; outside the context it is empty. A store that fails only
    causes a warning. Answers are kept for `age_s` seconds; failures in memory for `failure_age_s`
    if their type `repeats`, and not at all otherwise. `maker` is everything that an answer depends
    on besides the track, and is part of the keys.
    """

    def __init__(
        self,
        store: Store | None,
        metrics: Metrics,
        *,
        maker: dict[str, Any],
        memory_entries: int,
        age_s: float,
        failure_age_s: float,
    ) -> None:
        self.store = store
        self._metrics = metrics
        self._maker = _digest(json.dumps([_FORM, maker], sort_keys=True).encode())
        self._memory_entries = memory_entries
        self._age_s = age_s
        self._failure_age_s = failure_age_s
        self._memory: OrderedDict[str, tuple[float, Outcome]] = OrderedDict()
        self._pending: set[asyncio.Task[None]] = set()
        self._rests_until = 0.0
        #: whether it is open
        self.active = False

    def __len__(self) -> int:
        """Outcomes in memory."""
        return len(self._memory)

    async def __aenter__(self) -> Self:
        """Open it."""
        self.active = True
        await asyncio.to_thread(answer_type)
        if self.store is not None:
            await self._attempt(self.store.open())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Finish writing to the store, and close it."""
        self.active = False
        await asyncio.gather(*self._pending)
        self._memory.clear()
        if self.store is not None:
            await self.store.close()

    def key(self, kind: str, identity: str) -> str:
        """The key of a track, by the kind of its identity (`youtube`, `sha256`) and its value."""
        return f"{kind}:{identity}:{self._maker}"

    async def get(self, key: str) -> Outcome | None:
        """The cached outcome: an answer (`cached`, with timings of its own), a failure, or None."""
        if not self.active:
            return None
        start = time.perf_counter()
        known = self._remembered(key)
        if known is None and self.store is not None and time.monotonic() >= self._rests_until:
            known = await self._stored(key, self.store)
        kind = "miss" if known is None else "answer" if isinstance(known, Answer) else "failure"
        self._metrics.cache_lookups.labels(kind).inc()
        if known is None:
            return None
        if isinstance(known, TopgenreError):  # a copy, because raising it changes it
            return from_code(known.code, known.message)
        took_ms = round(1000 * (time.perf_counter() - start), 3)
        return replace(known, cached=True, timings_ms={"cache": took_ms, "total": took_ms})

    def put(self, key: str, outcome: Outcome) -> None:
        """Cache an outcome, if it may be cached; the store is written in the background."""
        if not self.active:
            return
        if isinstance(outcome, TopgenreError):
            if outcome.repeats:
                # A copy: the traceback would keep the track's bytes and features alive.
                known = from_code(outcome.code, outcome.message)
                self._remember(key, known, self._failure_age_s)
            return
        self._remember(key, outcome, self._age_s)
        if self.store is not None and len(self._pending) < _MAX_PENDING:
            task = asyncio.ensure_future(self._save(key, outcome, self.store))
            self._pending.add(task)
            task.add_done_callback(self._pending.discard)

    def _remembered(self, key: str) -> Outcome | None:
        until, outcome = self._memory.get(key, (0.0, None))
        if time.monotonic() >= until:
            return None
        self._memory.move_to_end(key)
        return outcome

    def _remember(self, key: str, outcome: Outcome, age_s: float) -> None:
        self._memory[key] = (time.monotonic() + age_s, outcome)
        self._memory.move_to_end(key)
        while len(self._memory) > self._memory_entries:
            self._memory.popitem(last=False)

    async def _stored(self, key: str, store: Store) -> Answer | None:
        found = await self._attempt(store.get(key))
        if found is None:
            return None
        value, age_s = found
        try:
            answer = await asyncio.to_thread(answer_type().validate_json, value)
        except ValidationError:
            return None
        self._remember(key, answer, self._age_s - age_s)
        return answer

    async def _save(self, key: str, answer: Answer, store: Store) -> None:
        if time.monotonic() >= self._rests_until:
            value = await asyncio.to_thread(answer_type().dump_json, answer)
            await self._attempt(store.put(key, value))

    async def _attempt(self, work: Any) -> Any:
        try:
            return await in_time(work, PATIENCE_S)
        except (StoreError, TimeoutError) as error:
            if time.monotonic() >= self._rests_until:  # log only the first failure
                self._rests_until = time.monotonic() + _REST_S
                self._metrics.cache_failures.inc()
                reason = str(error) or type(error).__name__  # a timeout has no text
                _LOG.warning("the cache can't be used now: %s", reason)
            return None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
