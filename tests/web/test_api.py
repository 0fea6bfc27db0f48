"""The API in a real browser: its documentation page, and a front end of another origin."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.server import Running
from tests.web.conftest import SHOTS

# What the React front end does; see tests/http/test_react.py.
FETCH = """async ([address, url]) => {
  const response = await fetch(address, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ url }),
  });
  return response.json();
}"""


class _Empty(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """The origin of an empty page, as a development server has it: another port of this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Empty) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_the_documentation_is_shown_and_can_be_tried(page: Page, site: Running) -> None:
    page.goto(f"{site.url}/docs")
    operation = page.locator("#operations-server-ready")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Execute").click()
    status = operation.locator(".live-responses-table tbody .response-col_status")
    expect(status).to_have_text("200")
    page.locator("#operations-tracks-predict .opblock-summary-control").click()
    expect(page.locator("#operations-tracks-predict")).to_contain_text("--data-binary")
    page.screenshot(path=SHOTS / "docs.png")


def test_a_front_end_of_another_origin(
    context: BrowserContext, site: Running, elsewhere: str
) -> None:
    page = context.new_page()
    page.goto(elsewhere)
    assert page.evaluate("location.origin") == elsewhere != site.url
    data = page.evaluate(FETCH, [f"{site.url}/predict", "https://vimeo.com/1"])
    assert data["error"] == "Only YouTube links are accepted."


# As docs/api.md shows it; it resolves to what was heard once the browser asks no more.
LISTEN = """(address) => new Promise((resolve) => {
  const names = [];
  const source = new EventSource(address);
  for (const name of ["progress", "result", "failure"])
    source.addEventListener(name, () => names.push(name));
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) resolve(names);
  });
})"""


def test_an_event_source_stops_by_itself(page: Page) -> None:
    statuses: list[int] = []
    page.on("response", lambda got: statuses.append(got.status) if "predict" in got.url else None)
    names = page.evaluate(LISTEN, "predict?url=https://vimeo.com/1")
    assert names == ["failure"]
    assert statuses == [200, 204]
