"""Circuit breakers that replicas share: a service that refuses one replica refuses them all."""

from __future__ import annotations

import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

from serve.cache.redis import PREFIX
from serve.replicas import SharedBreaker
from serve.replicas.redis import AloneError, SharedRedis, milliseconds

# Adds a failure at ARGV[1] ms, drops those older than the window of ARGV[2] ms, and opens for
# ARGV[4] ms once there are ARGV[3]. Returns the ms for which the breaker stays open.
_FAILED = """
redis.call('zadd', KEYS[1], ARGV[1], ARGV[5])
redis.call('zremrangebyscore', KEYS[1], '-inf', ARGV[1] - ARGV[2])
redis.call('pexpire', KEYS[1], ARGV[2])
if redis.call('zcard', KEYS[1]) >= tonumber(ARGV[3]) then
  redis.call('del', KEYS[1])
  redis.call('set', KEYS[2], '', 'px', ARGV[4])
end
return redis.call('pttl', KEYS[2])
"""


class SharedFailures:
    """Opens every replica's breaker once all replicas together have seen too many failures."""

    def __init__(self, shared: SharedRedis) -> None:
        self._shared = shared
        self._failed = shared.script(_FAILED)

    async def heed(self, breaker: SharedBreaker) -> None:
        """Open a breaker if another replica has opened it."""
        await self._open(breaker, partial(self._shared.redis.pttl, _key(breaker)))

    async def count(self, breaker: SharedBreaker) -> None:
        """Count a failure of its kind, and open it if there are too many."""
        now, window, pause = map(milliseconds, (time.time(), breaker.window_s, breaker.pause_s))
        values = [now, window, breaker.failures, pause, uuid.uuid4().hex]
        keys = [f"{_key(breaker)}:failed", _key(breaker)]
        await self._open(breaker, partial(self._failed, keys=keys, args=values))

    async def _open(self, breaker: SharedBreaker, left_ms: Callable[[], Awaitable[Any]]) -> None:
        with suppress(AloneError):
            breaker.open_for(await self._shared.ask(left_ms) / 1000)


def _key(breaker: SharedBreaker) -> str:
    return f"{PREFIX}breaker:{breaker.name}"
