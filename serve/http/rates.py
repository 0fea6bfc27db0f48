"""Rate limits: how many tracks each key and each address may ask for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.types import Scope

from serve.errors import TooManyRequests
from serve.http.addresses import network_of
from serve.http.record import record_of
from serve.replicas import Limiter, Replicas
from serve.settings import Settings

if TYPE_CHECKING:
    from throttled.rate_limiter import BaseRateLimiter

# Most keys and addresses to keep; the least recently used are evicted.
_REMEMBERED = 100_000
#: The limit, what is left of it, and the seconds until it is full again
#: (draft-ietf-httpapi-ratelimit-headers-06).
RATE_HEADERS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


@dataclass(frozen=True, slots=True)
class Allowance:
    """The state of a rate limit: `remaining` of `limit` tracks, full again in `reset_s` seconds.

    `retry_after_s` is None if the request was granted.
    """

    limit: int
    remaining: int
    reset_s: float
    retry_after_s: float | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        """RATE_HEADERS and their values."""
        values = (self.limit, self.remaining, math.ceil(self.reset_s))
        return dict(zip(RATE_HEADERS, map(str, values), strict=True))


class Rates:
    """The configured rate limits and what has been used of them, by GCRA.

    All `replicas` count together; each counts in memory while it can't reach Redis.

    Clients with a key are counted by key, all others by address. IPv6 addresses are counted by /64
    network, because one subscriber has at least 2**64 addresses.
    """

    def __init__(self, settings: Settings, replicas: Replicas) -> None:
        self._key = _limiter(settings.key_rate, replicas)
        self._address = _limiter(settings.address_rate, replicas)

    async def take(self, key: str | None, address: str, tracks: int = 1) -> Allowance | None:
        """Count tracks, unless they exceed the limit; None if there is no limit."""
        limiter = self._address if key is None else self._key
        if limiter is None:
            return None
        who = f"address:{network_of(address)}" if key is None else f"key:{key}"
        result = await limiter.together.limit(who, tracks) or limiter.here.limit(who, tracks)
        state = result.state
        retry_after_s = max(1.0, state.retry_after) if result.limited else None
        return Allowance(state.limit, state.remaining, state.reset_after, retry_after_s)


async def charge(scope: Scope, tracks: int) -> Allowance | None:
    """Count further tracks of a request: one is counted already, before routing.

    Raises TooManyRequests if they exceed the limit.
    """
    rates: Rates = scope["app"].state.rates
    allowance = await rates.take(record_of(scope).key, client_address(scope), tracks)
    if allowance is not None and allowance.retry_after_s is not None:
        if tracks + 1 > allowance.limit:
            raise TooManyRequests(f"More than {allowance.limit} tracks at once are not allowed.")
        raise TooManyRequests(retry_after_s=allowance.retry_after_s)
    return allowance


def client_address(scope: Scope) -> str:
    """The address of the client, or the one that a trusted proxy reports."""
    client: tuple[str, int] | None = scope.get("client")
    return client[0] if client else ""


@dataclass(frozen=True, slots=True)
class _Limiter:
    together: Limiter
    here: BaseRateLimiter


def _limiter(rate: str, replicas: Replicas) -> _Limiter | None:
    if not rate:
        return None
    # Imported only when used, as it is slow to import.
    from throttled import rate_limiter, store
    from throttled.rate_limiter.quota_parser import parse

    (quota,) = parse(rate)
    kind = rate_limiter.RateLimiterRegistry.get("gcra")
    here = kind(quota, store.MemoryStore(options={"MAX_SIZE": _REMEMBERED}))
    return _Limiter(replicas.limiter(quota), here)
