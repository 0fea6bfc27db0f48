"""The record of a request, for the access log, the metrics and the traces."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from starlette.types import Scope

from serve.errors import Internal, TopgenreError, unexpected
from serve.metrics import Metrics

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class RequestRecord:
    """The outcome of one request, as far as it is known.

    `code` is "ok", "cancelled" or the code of an error, `key` the name of the request's API key,
    `stages_ms` the answer's `timings_ms`. `seen_ns` has the first and last time at which each stage
    reported progress (Unix time in nanoseconds).
    """

    code: str | None = None
    key: str | None = None
    cached: bool | None = None
    stages_ms: Mapping[str, float] | None = None
    seen_ns: dict[str, tuple[int, int]] = field(default_factory=dict)

    def saw(self, stage: str) -> None:
        """Note the time at which a stage reported progress."""
        now = time.time_ns()
        first, _ = self.seen_ns.get(stage, (now, now))
        self.seen_ns[stage] = first, now


def record_of(scope: Scope) -> RequestRecord:
    """The record that the middleware created for a request."""
    record: RequestRecord = scope["state"]["record"]
    return record


@contextmanager
def accounted(metrics: Metrics, request_id: str, record: RequestRecord) -> Iterator[None]:
    """Count the outcome of the work in this context, and note it in the record.

    Exceptions other than TopgenreError are logged, and raised as `errors.unexpected` maps them.
    """
    record.code = "cancelled"
    try:
        yield
        record.code = "ok"
    except TopgenreError as error:
        record.code = error.code
        metrics.failed(error)
        raise
    except Exception as error:
        failure = logged(error, request_id)
        record.code = failure.code
        metrics.failed(failure)
        raise failure from None
    finally:
        metrics.requests.labels(record.code).inc()


def logged(error: Exception, request_id: str) -> TopgenreError:
    """Log an unexpected failure, and return the typed error that the client gets.

    Only bugs are logged with a traceback; a shortage of memory or file descriptors is not.
    """
    failure = unexpected(error)
    ours = isinstance(failure, Internal)
    _LOG.error("request %s failed: %r", request_id, error, exc_info=ours)
    return failure
