"""The account of what becomes of a track that is asked for."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from serve.errors import Internal, TopgenreError, unexpected
from serve.http.record import Record
from serve.metrics import Metrics

_LOG = logging.getLogger(__name__)


@contextmanager
def accounted(metrics: Metrics, request_id: str, record: Record) -> Iterator[None]:
    """Count the outcome of the work within, and note it in the record.

    Raises what `errors.unexpected` makes of anything else than a TopgenreError, which is logged.
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
    """Log a failure that has no code, and return what is said of it.

    A traceback tells of a fault of ours. What the machine has run out of is no such thing.
    """
    failure = unexpected(error)
    ours = isinstance(failure, Internal)
    _LOG.error("request %s failed: %r", request_id, error, exc_info=ours)
    return failure
