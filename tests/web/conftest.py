from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.eventually import until
from tests.server import Running, running_server

#: Where a look at the page is kept, for people.
SHOTS = Path(__file__).parent / "screenshots"
#: A name of this machine that browsers trust no more than any other host's.
PLAIN = "topgenre.test"
_CHROMIUM = shutil.which("chromium")
_FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    # Whatever the page or the browser may want: nothing but this machine can be found.
    # PLAIN stands for any host that is reached without HTTPS.
    "--host-resolver-rules=MAP topgenre.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium. It must be gone before other tests: Playwright occupies the event loop."""
    if _CHROMIUM is None:
        pytest.skip("the page's tests need Chromium: apt-get install chromium")
    expect.set_options(timeout=15_000)  # a busy machine is no failure
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=_CHROMIUM, args=_FLAGS, chromium_sandbox=False
        )
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def site() -> Iterator[Running]:
    """A server with the shipped model."""
    with running_server(decoders=2, deadline_s=30.0) as running:
        yield running


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that has never been here; links to YouTube lead to a blank page."""
    context = browser.new_context(locale="en-GB", reduced_motion="reduce")
    context.set_default_timeout(15_000)
    context.route("https://www.youtube.com/**", lambda route: route.fulfill(body=""))
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, site: Running) -> Iterator[Page]:
    """The page, open. It must have asked nobody but its server, and have had no error."""
    page = context.new_page()
    errors: list[str] = []
    others: list[str] = []

    def asked(url: str) -> None:
        if not url.startswith(("http://127.0.0.1:", f"http://{PLAIN}:", "blob:", "data:")):
            others.append(url)

    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if _bad(message.text) else None)
    page.on("request", lambda request: asked(request.url))
    page.goto(site.url)
    yield page
    assert errors == []
    assert others == []


def _bad(text: str) -> bool:
    return "Content Security Policy" in text or "Refused to" in text


def wait(page: Page, expression: str) -> None:
    """Until it is true in the page; Playwright's own way of waiting is refused by our policy."""
    until(lambda: page.evaluate(expression), 15.0)


def module(page: Page, name: str) -> str:
    """The address of one of the page's modules."""
    address: str = page.locator("script").first.evaluate("script => script.src")
    return address.replace("app.js", name)


def shot(page: Page, name: str) -> None:
    """Keep a picture of the whole page."""
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png", full_page=True)
