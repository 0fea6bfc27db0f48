"""Failures of YouTube's that replicas count together: whom it refuses, it refuses all."""

from __future__ import annotations

import time
import uuid

from serve.breaker import Breaker
from serve.replicas.redis import PREFIX, AloneError, SharedRedis

# Adds a failure at ARGV[1] ms, forgets those before the window of ARGV[2] ms, and from ARGV[3] on
# opens for ARGV[4] ms. Answers with the ms for which it is open.
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
    """Opens each replica's breakers where all together have seen too many failures."""

    def __init__(self, shared: SharedRedis) -> None:
        self._shared = shared
        self._failed = shared.script(_FAILED)

    async def heed(self, breaker: Breaker) -> None:
        """Open a breaker that another replica has opened."""
        try:
            left_ms = await self._shared.ask(self._shared.redis.pttl(_open(breaker)))
        except AloneError:
            return
        breaker.open_for(left_ms / 1000)

    async def count(self, breaker: Breaker) -> None:
        """Count a failure of its kind; open it where it was the one too many."""
        window_ms, pause_ms = _ms(breaker.window_s), _ms(breaker.pause_s)
        values = [_ms(time.time()), window_ms, breaker.failures, pause_ms, uuid.uuid4().hex]
        asked = self._failed(keys=[f"{_open(breaker)}:failed", _open(breaker)], args=values)
        try:
            left_ms = await self._shared.ask(asked)
        except AloneError:
            return
        breaker.open_for(left_ms / 1000)


def _open(breaker: Breaker) -> str:
    return f"{PREFIX}breaker:{breaker.kind.code}"


def _ms(seconds: float) -> int:
    return max(1, round(1000 * seconds))
