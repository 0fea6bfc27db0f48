"""The account of what becomes of a track that is asked for."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from serve.errors import Internal, TopgenreError
from serve.http.record import Record
from serve.metrics import Metrics

_LOG = logging.getLogger(__name__)


@contextmanager
def accounted(metrics: Metrics, request_id: str, record: Record) -> Iterator[None]:
    """Count the outcome of the work within, and note it in the record.

    Raises Internal instead of whatever was not expected, which is logged.
    """
    record.code = "cancelled"
    try:
        yield
        record.code = "ok"
    except TopgenreError as error:
        record.code = error.code
        metrics.failed(error)
        raise
    except Exception:
        record.code = Internal.code
        metrics.failed(Internal())
        _LOG.exception("request %s failed", request_id)
        raise Internal from None
    finally:
        metrics.requests.labels(record.code).inc()
