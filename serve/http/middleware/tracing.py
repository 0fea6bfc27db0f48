"""OpenTelemetry traces: a span for each request, with a child span for each stage."""

from __future__ import annotations

from importlib.metadata import version

from opentelemetry.propagate import extract
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, use_span
from opentelemetry.trace import format_trace_id as trace_id_text
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from serve.http.middleware.base import Layer, Sent
from serve.http.middleware.observe import route_of
from serve.http.record import RequestRecord, record_of
from serve.settings import Settings

# Child spans, by the stages of progress at which each begins and ends.
_STAGES = {
    "open": ("accepted", "found"),
    "download": ("downloading", "downloading"),
    "listen": ("listening", "listening"),
    "classify": ("classifying", None),
}


def tracer_provider(settings: Settings) -> TracerProvider:
    """Exports spans in batches to the configured collector; its bounded queue may drop some.

    OpenTelemetry's own variables (`OTEL_*`) configure it.
    """
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": "topgenre", "service.version": version("topgenre")})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.traces)))
    return provider


class Traced(Layer):
    """Creates the spans; a caller's `traceparent` (W3C Trace Context) becomes their parent.

    Must wrap `Observed`, whose record of the request has the stages.
    """

    def __init__(self, app: ASGIApp, provider: TracerProvider) -> None:
        super().__init__(app)
        self._tracer = provider.get_tracer("topgenre")

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on inside its span."""
        sent = Sent(send)
        span = self._tracer.start_span(
            scope["method"], extract(Headers(scope=scope)), kind=SpanKind.SERVER
        )
        scope["state"]["trace_id"] = trace_id_text(span.get_span_context().trace_id)
        with use_span(span, end_on_exit=True):
            try:
                await self.app(scope, receive, sent)
            finally:
                if span.is_recording():
                    record = record_of(scope)
                    _describe(span, scope, record, sent.status or 499)
                    _add_stages(self._tracer, record)


def _describe(span: Span, scope: Scope, record: RequestRecord, status: int) -> None:
    route = route_of(scope)
    span.update_name(f"{scope['method']} {route}")
    span.set_attributes(
        {
            "http.request.method": scope["method"],
            "http.route": route,
            "http.response.status_code": status,
            "topgenre.request_id": scope["state"]["request_id"],
        }
    )
    if record.code is not None:
        span.set_attribute("topgenre.code", record.code)
    if record.cached is not None:
        span.set_attribute("topgenre.cached", record.cached)
    for stage, took_ms in (record.stages_ms or {}).items():
        span.set_attribute(f"topgenre.{stage}_ms", took_ms)
    if status >= 500:
        span.set_status(Status(StatusCode.ERROR, record.code))


def _add_stages(tracer: Tracer, record: RequestRecord) -> None:
    """Create the spans of the stages, from the times at which progress was reported."""
    for name, (first, last) in _STAGES.items():
        if first in record.seen_ns:
            end_ns = record.seen_ns[last][1] if last in record.seen_ns else None
            tracer.start_span(name, start_time=record.seen_ns[first][0]).end(end_ns)
