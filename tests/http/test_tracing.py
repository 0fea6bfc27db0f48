"""OpenTelemetry traces: of a request and its stages, within the caller's, sent to a collector."""

import gzip
import http.server
import subprocess
import sys
import threading
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.trace import SpanKind, StatusCode

from serve.server import run
from serve.settings import Settings
from tests.eventually import until
from tests.http.posts import multipart
from tests.process import ROOT
from tests.server import running_server

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def collector():
    """A collector on loopback: every span that it was sent."""
    spans: list[Any] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            sent = ExportTraceServiceRequest.FromString(body)
            for resource in sent.resource_spans:
                spans.extend(span for scope in resource.scope_spans for span in scope.spans)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/traces", spans
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def attributes(span):
    return {
        pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in span.attributes
    }


def test_a_request_and_its_stages_are_in_the_callers_trace(tiny_model, collector, monkeypatch):
    url, spans = collector
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    monkeypatch.delenv("OTEL_SDK_DISABLED", raising=False)
    with (
        running_server(model=tiny_model, decoders=1, cache="off", traces=url) as server,
        server.client() as client,
    ):
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
        answer = client.post("/predict", headers=headers, **multipart()).json()
        bad = client.post("/predict", content=b"?")
        assert client.get("/secret-path").status_code == 404
        until(lambda: sum(span.kind == SpanKind.SERVER.value + 1 for span in spans) == 3)
    whole = next(span for span in spans if span.parent_span_id.hex() == PARENT)
    assert whole.trace_id.hex() == TRACE
    assert whole.name == "POST /predict"
    told = attributes(whole)
    assert told["http.response.status_code"] == 200
    assert told["http.route"] == "/predict"
    assert told["topgenre.code"] == "ok"
    assert told["topgenre.request_id"] == answer["request_id"]
    assert told["topgenre.mel_ms"] == answer["timings_ms"]["mel"]
    stages = {span.name: span for span in spans if span.parent_span_id == whole.span_id}
    assert {"open", "listen", "classify"} <= set(stages)
    for stage in stages.values():
        assert stage.trace_id == whole.trace_id
        assert whole.start_time_unix_nano <= stage.start_time_unix_nano
        assert stage.start_time_unix_nano <= stage.end_time_unix_nano <= whole.end_time_unix_nano
    others = {attributes(span)["topgenre.request_id"]: span for span in spans if span.attributes}
    failed = others[bad.json()["request_id"]]
    assert failed.trace_id != whole.trace_id
    assert attributes(failed)["topgenre.code"] == "undecodable"
    assert failed.status.code != StatusCode.ERROR.value  # the client's fault
    assert "GET other" in {span.name for span in spans}
    assert "secret-path" not in str(spans)


def test_without_the_extra_the_start_says_so(tiny_model, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "opentelemetry.propagate", None)
    monkeypatch.delitem(sys.modules, "serve.http.middleware.tracing", raising=False)
    assert run(Settings(model=tiny_model, traces="http://localhost:4318/v1/traces")) == 2
    assert "TOPGENRE_TRACES needs the extra otel" in capsys.readouterr().err


def test_off_nothing_of_it_is_imported(tiny_model):
    program = (
        "import sys; from serve.http.app import create_app; from serve.pipeline import Pipeline;"
        "from serve.settings import Settings; from pathlib import Path;"
        f"create_app(Pipeline.from_settings(Settings(model=Path({str(tiny_model)!r}))));"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'throttled'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
