"""What the server counts and measures, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

# From a millisecond to a minute, each twice the last.
_SECONDS = tuple(0.001 * 2**n for n in range(17))
_CLIPS = tuple(float(2**n) for n in range(11))


class Metrics:
    """One registry, so that several servers can live in one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
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
