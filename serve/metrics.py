"""What the server counts and measures, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from serve.children import ChildrenCollector
from serve.errors import TopgenreError

# From a millisecond to a minute, each twice the last.
_SECONDS = tuple(0.001 * 2**n for n in range(17))
_CLIPS = tuple(float(2**n) for n in range(11))


class Metrics:
    """One registry, so that several servers can live in one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        # CPU, memory and descriptors of this process, then its children.
        ProcessCollector(registry=self._registry)
        self._registry.register(ChildrenCollector())
        self._http = Histogram(
            "topgenre_http_request_seconds",
            "Seconds from a request's headers to the end of its answer",
            ["route", "status"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.requests = Counter(
            "topgenre_requests",
            "Requests for a track, by outcome: ok, cancelled or the code of the error",
            ["code"],
            registry=self._registry,
        )
        self.stages = Histogram(
            "topgenre_stage_seconds",
            "Seconds of each stage of a track",
            ["stage"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.calls = Counter(
            "topgenre_inference_calls", "Calls of ONNX Runtime", registry=self._registry
        )
        self.batch = Histogram(
            "topgenre_inference_batch_clips",
            "Clips of each call of ONNX Runtime, padding included",
            buckets=_CLIPS,
            registry=self._registry,
        )
        self.clips = Counter("topgenre_clips", "Clips classified", registry=self._registry)
        self.failures = Counter(
            "topgenre_failures",
            "Requests for a track that failed, by whose trouble it is and the code of the error",
            ["origin", "code"],
            registry=self._registry,
        )
        self.cache_lookups = Counter(
            "topgenre_cache_lookups",
            "Tracks looked up in the cache, by what was found: answer, failure or miss",
            ["found"],
            registry=self._registry,
        )
        self.alone = Counter(
            "topgenre_alone",
            "Times that what replicas share could not be had",
            registry=self._registry,
        )
        self.cache_failures = Counter(
            "topgenre_cache_failures",
            "Times that the cache's store could not be used",
            registry=self._registry,
        )

    def failed(self, error: TopgenreError) -> None:
        """Note whose trouble a request's failure is."""
        self.failures.labels(error.origin, error.code).inc()

    def http_request(self, route: str, status: int, seconds: float) -> None:
        """Note one request to a route (its path in the code, not as it was asked for)."""
        self._http.labels(route, f"{status // 100}xx").observe(seconds)

    def inference_call(self, batch: int) -> None:
        """Count one call of ONNX Runtime with that many clips."""
        self.calls.inc()
        self.batch.observe(batch)

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A gauge `topgenre_NAME` that is read whenever the metrics are."""
        Gauge(f"topgenre_{name}", text, registry=self._registry).set_function(read)

    def render(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)
