"""Answers in Redis, for servers on several machines. Needs the extra `redis`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import AuthenticationError, RedisError

from serve.cache.in_time import in_time
from serve.cache.store import MAX_VALUE_BYTES, PATIENCE_S, StoreError, packed, unpacked

T = TypeVar("T")

#: The prefix of all our keys.
PREFIX = "topgenre:"
#: What redis-py raises where Redis is unreachable.
FAULTS = (RedisError, OSError, TimeoutError)
# Over TLS, the peer also has to acknowledge the close.
_CLOSE_S = 0.5
# redis-py's own timeouts are this many times ours.
_BACKSTOP = 20
# Opening a connection costs more than many commands: bursts wait for these.
_CONNECTIONS = 8
# One for each blocking command, of which there are as many as tracks in progress.
_BLOCKING_CONNECTIONS = 4096


class RedisStore:
    """Compressed values that Redis expires by itself after `max_age_s` seconds.

    Redis itself limits how much memory they take (`maxmemory`).
    """

    entries = 0
    size_bytes = 0

    def __init__(self, url: str, *, max_age_s: float) -> None:
        self._max_age_ms = max(1, int(1000 * max_age_s))
        self._redis = client(url, PATIENCE_S)

    async def open(self) -> None:
        """Check that Redis answers."""
        await _told(self._redis.ping())

    async def get(self, key: str) -> tuple[bytes, float] | None:
        """A value and its age in seconds, derived from its remaining time to live."""
        async with self._redis.pipeline(transaction=False) as asked:
            asked.getrange(PREFIX + key, 0, MAX_VALUE_BYTES)  # one byte over the limit
            asked.pttl(PREFIX + key)
            stored, left_ms = await _told(asked.execute())
        if not 0 <= left_ms <= self._max_age_ms:
            return None
        value = await asyncio.to_thread(unpacked, stored)
        return None if value is None else (value, (self._max_age_ms - left_ms) / 1000)

    async def put(self, key: str, value: bytes) -> None:
        """Store a value, unless it is too large."""
        compressed = await asyncio.to_thread(packed, value)
        if compressed is not None:
            await _told(self._redis.set(PREFIX + key, compressed, px=self._max_age_ms))

    async def close(self) -> None:
        """Close the connections."""
        await close(self._redis)


def client(url: str, timeout_s: float, *, blocking: bool = False) -> Redis:
    """Connections to Redis, opened as needed, for commands that are awaited with `in_time`."""
    # redis-py may swallow a cancellation while it connects; these timeouts end it anyway.
    longest_s = _BACKSTOP * timeout_s
    pool = BlockingConnectionPool.from_url(
        url,
        timeout=longest_s,
        socket_timeout=longest_s,
        socket_connect_timeout=longest_s,
        max_connections=_BLOCKING_CONNECTIONS if blocking else _CONNECTIONS,
    )
    return Redis.from_pool(pool)


def reason(fault: BaseException) -> str:
    """What is wrong with Redis: the name of the error, or of the refusal of a password within it.

    redis-py wraps the refusal of a password over a Unix socket in a ConnectionError. The error's
    own text is left out: it may contain the address, and with it the password.
    """
    chain = [fault]
    # Where redis-py retries, exceptions may be each other's context.
    while (before := chain[-1].__cause__ or chain[-1].__context__) and before not in chain:
        chain.append(before)
    named = next((of for of in chain if isinstance(of, AuthenticationError)), fault)
    return f"Redis: {type(named).__name__}"


async def close(redis: Redis) -> None:
    """Close its connections, without waiting for a server that no longer answers."""
    with suppress(*FAULTS):
        await in_time(redis.aclose(), _CLOSE_S)


async def _told(answer: Awaitable[T]) -> T:
    try:
        return await answer
    except FAULTS as error:
        raise StoreError(reason(error)) from None
