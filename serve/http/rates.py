"""How many tracks each key and each address may ask for."""

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

# Keys and addresses that are remembered; beyond, those that were quiet for longest are forgotten.
_REMEMBERED = 100_000
#: The most at once, what is left of it, and the seconds until all of it is there again
#: (draft-ietf-httpapi-ratelimit-headers-06).
RATE_HEADERS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a rate: at most `limit` at once, of that `remaining`, all in `reset_s` again.

    `retry_after_s` is None where what was asked for has been granted.
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
    """The rates that are set, and what has been taken of them, by GCRA.

    It is counted together with all `replicas`, or in memory where they can't be reached.

    Whoever has a key is counted by it, everybody else by address: IPv6 by network, as one
    subscriber has 2**64 addresses at least.
    """

    def __init__(self, settings: Settings, replicas: Replicas) -> None:
        self._key = _limiter(settings.key_rate, replicas)
        self._address = _limiter(settings.address_rate, replicas)

    async def take(self, key: str | None, address: str, tracks: int = 1) -> Allowance | None:
        """Count so many tracks, if that is not too many; None where there is no limit."""
        limiter = self._address if key is None else self._key
        if limiter is None:
            return None
        who = f"address:{network_of(address)}" if key is None else f"key:{key}"
        result = await limiter.together.limit(who, tracks) or limiter.here.limit(who, tracks)
        state = result.state
        retry_after_s = max(1.0, state.retry_after) if result.limited else None
        return Allowance(state.limit, state.remaining, state.reset_after, retry_after_s)


async def charge(scope: Scope, tracks: int) -> Allowance | None:
    """Count tracks of a request: one each is counted before it is routed, these are on top.

    Raises TooManyRequests where they are too many.
    """
    rates: Rates = scope["app"].state.rates
    allowance = await rates.take(record_of(scope).key, client_address(scope), tracks)
    if allowance is not None and allowance.retry_after_s is not None:
        if tracks + 1 > allowance.limit:
            raise TooManyRequests(f"More than {allowance.limit} tracks at once are not allowed.")
        raise TooManyRequests(retry_after_s=allowance.retry_after_s)
    return allowance


def client_address(scope: Scope) -> str:
    """The address that the request came from, or that a trusted proxy says it did."""
    client: tuple[str, int] | None = scope.get("client")
    return client[0] if client else ""


@dataclass(frozen=True, slots=True)
class _Limiter:
    together: Limiter
    here: BaseRateLimiter


def _limiter(rate: str, replicas: Replicas) -> _Limiter | None:
    if not rate:
        return None
    # Imported only where it is used: it takes its time.
    from throttled import rate_limiter, store
    from throttled.rate_limiter.quota_parser import parse

    (quota,) = parse(rate)
    kind = rate_limiter.RateLimiterRegistry.get("gcra")
    here = kind(quota, store.MemoryStore(options={"MAX_SIZE": _REMEMBERED}))
    return _Limiter(replicas.limiter(quota), here)
