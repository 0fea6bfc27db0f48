"""A Redis that may be unreachable: no request fails or waits long because of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from serve.cache.in_time import in_time
from serve.cache.redis import FAULTS, client, close, reason
from serve.metrics import Metrics

_LOG = logging.getLogger(__name__)
T = TypeVar("T")

# Sharing saves work; waiting any longer for it would cost more.
_TIMEOUT_S = 1.0
# Seconds for which Redis is not tried again after a failure.
_REST_S = 5.0


class AloneError(Exception):
    """Redis is unreachable: the caller continues alone."""


class SharedRedis:
    """Connections to the Redis that replicas share.

    `block_s` is the longest that `blocking` commands wait. A failure is counted and logged, and for
    some seconds afterwards everything raises AloneError at once.
    """

    block_s = 1.0

    def __init__(self, url: str, metrics: Metrics) -> None:
        self.redis = client(url, _TIMEOUT_S)
        self.blocking = client(url, self.block_s + _TIMEOUT_S, blocking=True)
        self._metrics = metrics
        self._rests_until = 0.0

    async def ask(
        self, command: Callable[[], Awaitable[T]], *, anyway: bool = False, block_s: float = 0.0
    ) -> T:
        """The result of a command that may block for `block_s`; AloneError if there is none.

        `anyway` tries even after a recent failure: for messages that other replicas wait for.
        """
        if self._rests and not anyway:
            raise AloneError
        try:
            return await in_time(command(), block_s + _TIMEOUT_S)
        except FAULTS as error:
            if not self._rests:  # another command may have failed first
                self._rests_until = time.monotonic() + _REST_S
                self._metrics.alone.inc()
                _LOG.warning("working without other replicas: %s", reason(error))
            raise AloneError from None

    @property
    def _rests(self) -> bool:
        return time.monotonic() < self._rests_until

    def script(self, text: str) -> Any:
        """A Lua script, to be called with `keys` and `args`."""
        return self.redis.register_script(text)

    async def close(self) -> None:
        """Close the connections."""
        await close(self.redis)
        await close(self.blocking)


def milliseconds(seconds: float) -> int:
    """A duration for Redis: whole milliseconds, at least one."""
    return max(1, round(1000 * seconds))
