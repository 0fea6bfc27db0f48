"""What servers with one Redis share, so that they act as one; without it each works on its own."""

from __future__ import annotations

from typing import Protocol

from serve.answer import Answer, OnProgress
from serve.flight import Work
from serve.metrics import Metrics
from serve.settings import REDIS, Settings


class Replicas(Protocol):
    """This server and all that share its Redis."""

    async def once(self, key: str, work: Work, on_progress: OnProgress) -> Answer:
        """The outcome of `work`, here or where it is done already; raises what that raises."""
        ...

    async def close(self) -> None:
        """Tell the others what is still to be told, and leave them."""
        ...


class Alone:
    """A server that shares nothing."""

    async def once(self, key: str, work: Work, on_progress: OnProgress) -> Answer:
        """The outcome of `work`."""
        return await work(on_progress)

    async def close(self) -> None:
        """Nothing."""


def replicas_for(settings: Settings, metrics: Metrics) -> Replicas:
    """Those that share the Redis which the settings name as their cache, if they do."""
    if not settings.cache.startswith(REDIS):
        return Alone()
    from serve.replicas.flights import SharedFlights  # needs an extra
    from serve.replicas.redis import SharedRedis

    return SharedFlights(SharedRedis(settings.cache, metrics))
