"""Rate limits that replicas count together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from throttled.asyncio.rate_limiter import RateLimiterRegistry
from throttled.asyncio.store import RedisStore
from throttled.asyncio.store.redis import RedisStoreBackend
from throttled.exceptions import StoreUnavailableError

from serve.replicas.redis import AloneError, SharedRedis

if TYPE_CHECKING:
    from throttled.rate_limiter import Quota, RateLimitResult


class SharedLimiter:
    """A rate limit by the generic cell rate algorithm (GCRA) in Redis."""

    def __init__(self, shared: SharedRedis, quota: Quota) -> None:
        class Backend(RedisStoreBackend):
            def get_client(self) -> Any:
                return shared.redis

        class Store(RedisStore):
            _BACKEND_CLASS = Backend

        self._shared = shared
        self._limiter = RateLimiterRegistry.get("gcra")(quota, Store())

    async def limit(self, who: str, tracks: int) -> RateLimitResult | None:
        """Count this many tracks unless they exceed the limit; None where Redis is unreachable."""
        try:
            return await self._shared.ask(lambda: self._limited(who, tracks))
        except AloneError:
            return None

    async def _limited(self, who: str, tracks: int) -> RateLimitResult:
        try:
            return await self._limiter.limit(who, tracks)
        except StoreUnavailableError as error:
            raise error.__cause__ or ConnectionError from None
