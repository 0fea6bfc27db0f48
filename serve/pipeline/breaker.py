"""Circuit breakers: stop sending requests upstream for a while after repeated failures.

After M. Nygard, "Release It!" (2007), with one breaker for each kind of failure.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Literal

from serve.errors import BadMedia, BadRequest, NotFound, Refused, TopgenreError
from serve.replicas import Replicas

#: Failures which show that the service works: they are about the track, not about this server.
ANSWERED = (BadRequest, Refused, NotFound, BadMedia)
# While a probe is under way, other requests are told to retry after this many seconds.
_PROBED_S = 1.0

State = Literal["closed", "half-open", "open"]


class Breaker:
    """Opens for `pause_s` when a kind of failure came `failures` times within `window_s` seconds.

    After that it is half-open: one request is let through as a probe, and its outcome closes the
    breaker or opens it again. `clock` gives seconds that only go up.
    """

    def __init__(
        self,
        kind: type[TopgenreError],
        *,
        failures: int,
        window_s: float,
        pause_s: float,
        name: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.kind = kind
        #: unlike that of any other; its failure's code unless it is given
        self.name = name or kind.code
        self.failures = failures
        self.window_s = window_s
        self.pause_s = pause_s
        self._clock = clock
        self._failed: deque[float] = deque(maxlen=failures)
        self._until: float | None = None  # None while it is closed
        self._probe: object | None = None

    @property
    def state(self) -> State:
        """Whether requests pass: all, one, or none."""
        if self._until is None:
            return "closed"
        return "open" if self._clock() < self._until else "half-open"

    def check(self) -> None:
        """Raise the failure, with the seconds to wait, where a request may not pass now."""
        if self._until is None:
            return
        left_s = self._until - self._clock()
        if left_s > 0 or self._probe is not None:
            raise self.kind(retry_after_s=max(left_s, _PROBED_S))

    def open_for(self, seconds: float) -> None:
        """Stay open for at least this many seconds; 0 or less changes nothing."""
        if seconds > 0:
            self._failed.clear()
            self._until = max(self._until or 0.0, self._clock() + seconds)

    def enter(self, request: object) -> None:
        """Begin a request that `check` has admitted; half-open, it becomes the probe."""
        if self._until is not None:
            self._probe = request

    def leave(self, request: object, outcome: BaseException | None) -> None:
        """Record how a request ended: with this exception, or None if it succeeded."""
        probing = self._probe is request
        if probing:
            self._probe = None  # whatever the outcome, cancellation included
        if isinstance(outcome, self.kind):
            if probing or (self._until is None and self._too_many()):
                self.open_for(self.pause_s)
        elif probing and (outcome is None or isinstance(outcome, ANSWERED)):
            self._until = None

    def _too_many(self) -> bool:
        now = self._clock()
        self._failed.append(now)
        full = len(self._failed) == self._failed.maxlen
        return full and now - self._failed[0] <= self.window_s


@asynccontextmanager
async def through_all(breakers: Sequence[Breaker], others: Replicas) -> AsyncIterator[None]:
    """As `through`, sharing failures with the other replicas."""
    for breaker in breakers:
        await others.heed(breaker)
    with through(breakers):  # what an open breaker raises is not a new failure
        try:
            yield
        except TopgenreError as error:
            for breaker in breakers:
                if isinstance(error, breaker.kind):
                    await others.count(breaker)
            raise


@contextmanager
def through(breakers: Sequence[Breaker]) -> Iterator[None]:
    """Make a request in this context; raise the failure of the first breaker that is open."""
    for breaker in breakers:
        breaker.check()
    request = object()
    for breaker in breakers:
        breaker.enter(request)
    outcome: BaseException | None = None
    try:
        yield
    except BaseException as error:
        outcome = error
        raise
    finally:
        for breaker in breakers:
            breaker.leave(request, outcome)
