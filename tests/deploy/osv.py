"""A stand-in for OSV, the service that knows advisories."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: Its only advisory, which is about any version below 99.
ADVISORY = "GHSA-0000-0000-0000"


@dataclass
class Osv:
    """`asked` are the questions; `bad` names the distributions that have an advisory."""

    url: str
    bad: set[str] = field(default_factory=set)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        name = question["package"]["name"]
        self.asked.append((name, question["version"]))
        if name not in self.bad:
            return {}
        events = [{"introduced": "0"}, {"fixed": "99.0"}]
        ranges = [{"type": "ECOSYSTEM", "events": events}]
        known = {
            "id": ADVISORY,
            "modified": "2026-01-01T00:00:00Z",
            "summary": "Something bad",
            "affected": [{"package": question["package"], "ranges": ranges}],
        }
        return {"vulns": [known]}


@contextmanager
def osv() -> Iterator[Osv]:
    """The stand-in, while the context lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = json.dumps(running.answer(json.loads(body))).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        running = Osv(f"http://127.0.0.1:{server.server_port}/v1/query")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield running
        finally:
            server.shutdown()
            thread.join()
