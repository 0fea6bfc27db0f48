"""What servers with one Redis share, so that they act as one; without it each works on its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from serve.answer import Answer, OnProgress, Work
from serve.errors import TopgenreError
from serve.metrics import Metrics
from serve.settings import REDIS, Settings

if TYPE_CHECKING:
    from throttled.rate_limiter import Quota, RateLimitResult


class SharedBreaker(Protocol):
    """A circuit breaker: it opens when `failures` of a kind come within `window_s` seconds."""

    name: str
    kind: type[TopgenreError]
    failures: int
    window_s: float
    pause_s: float

    def open_for(self, seconds: float) -> None:
        """Let nothing pass for so long at least; 0 or less changes nothing."""
        ...


class Limiter(Protocol):
    """A rate for each of many."""

    async def limit(self, who: str, tracks: int) -> RateLimitResult | None:
        """Count so many tracks, if that is not too many; None where that can't be known."""
        ...


class Replicas(Protocol):
    """This server and all that share its Redis."""

    async def once(self, key: str, work: Work, on_progress: OnProgress) -> Answer:
        """The outcome of `work`, here or where it is done already; raises what that raises."""
        ...

    def limiter(self, quota: Quota) -> Limiter:
        """A rate that they count together."""
        ...

    async def heed(self, breaker: SharedBreaker) -> None:
        """Open a breaker that another of them has opened."""
        ...

    async def count(self, breaker: SharedBreaker) -> None:
        """Count a failure with those of the others, and open the breaker for one too many."""
        ...

    async def close(self) -> None:
        """Tell the others what is still to be told, and leave them."""
        ...


class Alone:
    """A server that shares nothing."""

    async def once(self, key: str, work: Work, on_progress: OnProgress) -> Answer:
        """The outcome of `work`."""
        return await work(on_progress)

    def limiter(self, quota: Quota) -> Limiter:
        """One that knows of nobody."""
        return self

    async def limit(self, who: str, tracks: int) -> RateLimitResult | None:
        """None: others don't count."""
        return None

    async def heed(self, breaker: SharedBreaker) -> None:
        """Nothing."""

    async def count(self, breaker: SharedBreaker) -> None:
        """Nothing: the breaker counts for itself."""

    async def close(self) -> None:
        """Nothing."""


def replicas_for(settings: Settings, metrics: Metrics) -> Replicas:
    """Those that share the Redis which the settings name as their cache, if they do."""
    if not settings.cache.startswith(REDIS):
        return Alone()
    from serve.replicas.together import Together  # needs an extra

    return Together(settings.cache, metrics, settings.deadline_s)
