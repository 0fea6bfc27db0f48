"""Answers in Redis, for servers on several machines. Needs the extra `redis`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from redis.asyncio import Redis
from redis.exceptions import RedisError

from serve.cache.packing import pack, unpack
from serve.cache.store import StoreError

T = TypeVar("T")

_PREFIX = "topgenre:"
# An answer is not worth a longer wait: it can be made again.
_TIMEOUT_S = 0.25
_CONNECTIONS = 16


class RedisStore:
    """Compressed values that Redis lets go of by itself when they are `max_age_s` seconds old.

    How many there may be and how much they take is Redis' own to limit (`maxmemory`).
    """

    entries = 0
    size_bytes = 0

    def __init__(self, url: str, *, max_age_s: float) -> None:
        self._max_age_ms = max(1, int(1000 * max_age_s))
        self._redis = Redis.from_url(
            url,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            max_connections=_CONNECTIONS,
        )

    async def open(self) -> None:
        """Ask whether it is there."""
        await _told(self._redis.ping())

    async def get(self, key: str) -> tuple[bytes, float] | None:
        """A value and its age in seconds."""
        async with self._redis.pipeline(transaction=False) as asked:
            asked.get(_PREFIX + key)
            asked.pttl(_PREFIX + key)
            value, left_ms = await _told(asked.execute())
        if value is None:
            return None
        unpacked = await asyncio.to_thread(unpack, value)
        if unpacked is None:
            return None
        return unpacked, max(0.0, (self._max_age_ms - left_ms) / 1000)

    async def put(self, key: str, value: bytes) -> None:
        """Keep a value."""
        await _told(self._redis.set(_PREFIX + key, pack(value), px=self._max_age_ms))

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()


async def _told(answer: Awaitable[T]) -> T:
    try:
        return await answer
    except (RedisError, OSError, TimeoutError) as error:
        # Not in its own words: they may repeat the address, and with it the password.
        raise StoreError(f"Redis: {type(error).__name__}") from None
