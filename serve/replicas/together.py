"""Replicas: servers that share a Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serve.metrics import Metrics
from serve.replicas.breakers import SharedFailures
from serve.replicas.flights import SharedFlights
from serve.replicas.redis import SharedRedis

if TYPE_CHECKING:
    from throttled.rate_limiter import Quota

    from serve.replicas import Limiter


class Together:
    """Everything that replicas share, over one set of connections."""

    def __init__(self, url: str, metrics: Metrics, joinable_s: float = 60.0) -> None:
        self._shared = SharedRedis(url, metrics)
        self._flights = SharedFlights(self._shared, joinable_s)
        self.once = self._flights.once
        failures = SharedFailures(self._shared)
        self.heed, self.count = failures.heed, failures.count

    def limiter(self, quota: Quota) -> Limiter:
        """A rate limit that all replicas count together."""
        from serve.replicas.rates import SharedLimiter  # slow to import

        return SharedLimiter(self._shared, quota)

    async def close(self) -> None:
        """Send what is still unsent, and close the connections."""
        await self._flights.close()
        await self._shared.close()
