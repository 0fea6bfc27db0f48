"""What servers that share a Redis coordinate through it; without Redis each works alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from serve.answer import Answer, OnProgress, Work
from serve.errors import TopgenreError
from serve.metrics import Metrics
from serve.settings import REDIS, Settings

if TYPE_CHECKING:
    from throttled.rate_limiter import Quota, RateLimitResult


class SharedBreaker(Protocol):
    """A circuit breaker: it opens after `failures` of one kind within `window_s` seconds."""

    name: str
    kind: type[TopgenreError]
    failures: int
    window_s: float
    pause_s: float

    def open_for(self, seconds: float) -> None:
        """Stay open for at least this many seconds; 0 or less changes nothing."""
        ...


class Limiter(Protocol):
    """A rate limit, counted separately for each client."""

    async def limit(self, who: str, tracks: int) -> RateLimitResult | None:
        """Count this many tracks unless they exceed the limit; None where the count is unknown."""
        ...


class Replicas(Protocol):
    """This server and all others that share its Redis."""

    async def once(self, key: str, work: Work, on_progress: OnProgress) -> Answer:
        """The outcome of `work`, run here or by another replica; raises its error."""
        ...

    def limiter(self, quota: Quota) -> Limiter:
        """A rate limit that all replicas count together."""
        ...

    async def heed(self, breaker: SharedBreaker) -> None:
        """Open a breaker if another replica has opened it."""
        ...

    async def count(self, breaker: SharedBreaker) -> None:
        """Count a failure with those of the others; open the breaker if there are too many."""
        ...

    async def close(self) -> None:
        """Send what is still unsent, and disconnect."""
        ...


class Alone:
    """A server that shares nothing."""

    async def once(self, key: str, work: Work, on_progress: OnProgress) -> Answer:
        """The outcome of `work`."""
        return await work(on_progress)

    def limiter(self, quota: Quota) -> Limiter:
        """No shared limit."""
        return self

    async def limit(self, who: str, tracks: int) -> RateLimitResult | None:
        """None: nothing is shared."""
        return None

    async def heed(self, breaker: SharedBreaker) -> None:
        """Do nothing."""

    async def count(self, breaker: SharedBreaker) -> None:
        """Do nothing: the breaker counts by itself."""

    async def close(self) -> None:
        """Do nothing."""


def replicas_for(settings: Settings, metrics: Metrics) -> Replicas:
    """The replicas that share the Redis named in `settings.cache`, if it is one."""
    if not settings.cache.startswith(REDIS):
        return Alone()
    from serve.replicas.together import Together  # needs an extra

    return Together(settings.cache, metrics, settings.deadline_s)
