"""What goes wrong: errors and what to do next, cancelling, a key, a server that restarts."""

import re

import httpx
import pytest
from playwright.sync_api import expect

from serve.errors import ERRORS
from serve.keys import new_key
from tests.eventually import until
from tests.server import running_server
from tests.sources.processes import downloaders
from tests.standin import Video, faults
from tests.web.conftest import module, shot
from tests.web.test_ways import ID, M4A, SONG, URL, answered, listen


@pytest.mark.parametrize(
    ("video", "code", "retry"),
    [
        (Video(ID, status="LOGIN_REQUIRED", reason="Private video", length=60), "private", False),
        (Video(ID, {140: M4A}, length=601), "too_long", False),
        (Video(ID, {140: M4A}, length=60, fault=faults.status(403)), "youtube_error", True),
    ],
    ids=["private", "long", "forbidden"],
)
def test_errors_are_the_servers_words_and_what_to_do_next(page, site, youtube, video, code, retry):
    youtube.add(video)
    with site.client() as client:
        words = client.post("/predict", json={"url": URL}).json()["error"]
    listen(page)
    problem = page.get_by_role("alert")
    expect(problem).to_have_attribute("data-code", code)
    expect(problem.locator(".words")).to_have_text(words)
    expect(problem.locator("p").nth(1)).not_to_be_empty()
    expect(page.get_by_role("button", name="Try again")).to_have_count(int(retry))
    expect(page.locator("#work")).to_be_hidden()
    shot(page, f"error-{code}")
    youtube.add(Video(ID, {140: M4A}, title="T", length=60))
    if retry:
        page.get_by_role("button", name="Try again").click()
        answered(page, "T")
        expect(problem).to_be_hidden()


def test_a_file_that_is_no_music(page):
    page.set_input_files(
        "#file", {"name": "a.txt", "mimeType": "text/plain", "buffer": b"words" * 999}
    )
    expect(page.get_by_role("alert")).to_contain_text("This is text, not audio.")
    expect(page.locator("#pick")).to_be_enabled()


def test_there_is_advice_for_every_error(page):
    advice = page.evaluate(
        "async module => Object.keys((await import(module)).strings)",
        module(page, "strings.en.js"),
    )
    missing = [
        code for code in [*ERRORS, "unreachable", "microphone"] if f"next.{code}" not in advice
    ]
    assert missing == []


def test_a_file_that_is_too_large_is_not_sent(page, context, tiny_model):
    with running_server(model=tiny_model, decoders=1, max_body_bytes=1 << 20) as small:
        page.goto(small.url)
        expect(page.locator("#genres li")).to_have_count(3)
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.set_input_files(
            "#file", {"name": "a.wav", "mimeType": "audio/wav", "buffer": bytes(3 << 20)}
        )
        expect(page.get_by_role("alert")).to_contain_text("3 MB; the server takes at most 1 MB")
        assert asked == []
        page.goto("about:blank")


def test_cancelling_frees_the_server(page, site, youtube):
    youtube.add(Video(ID, {140: M4A}, title="Slow", length=60, fault=faults.stall(100_000)))
    listen(page)
    expect(page.locator("#stages .now")).to_contain_text("Downloading")
    expect(page.locator("#work-title")).to_have_text("Slow")
    until(lambda: site.metric("topgenre_requests_active") == 1)
    expect(page.locator("#link-form button")).to_be_disabled()
    shot(page, "downloading")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#banner")).to_have_text("Stopped. Nothing goes on at the server.")
    expect(page.locator("#work")).to_be_hidden()
    until(lambda: site.metric("topgenre_requests_active") == 0)
    until(lambda: downloaders() == [])
    page.set_input_files("#file", SONG)  # and everything works as before
    answered(page, "song.mp3")


def test_leaving_the_page_frees_the_server(page, site, youtube):
    youtube.add(Video(ID, {140: M4A}, length=60, fault=faults.stall(100_000)))
    listen(page)
    until(lambda: site.metric("topgenre_requests_active") == 1)
    page.goto("about:blank")
    until(lambda: site.metric("topgenre_requests_active") == 0)


def test_the_stages_of_a_download(page, youtube):
    youtube.add(Video(ID, {140: M4A}, title="T", length=60, fault=faults.stall(len(M4A) // 2)))
    listen(page)
    stage = page.locator("#stages .now")
    expect(stage).to_have_attribute("data-done", re.compile(" (49|50) %"))
    assert page.get_by_role("progressbar").evaluate("bar => bar.value") == pytest.approx(
        0.5, abs=0.02
    )
    expect(stage).to_have_attribute("aria-current", "step")
    expect(page.locator("#work-says")).to_have_text("Downloading")
    # What is there is listened to already.
    expect(page.locator("#stages li").nth(2)).to_have_attribute("data-done", re.compile(r"\d+ %"))
    page.get_by_role("button", name="Cancel").click()


def test_the_page_recovers_when_the_server_restarts(page, context, tiny_model):
    with running_server(model=tiny_model, decoders=1) as first:
        port = httpx.URL(first.url).port
        page.goto(first.url)
        expect(page.locator("#genres li")).to_have_count(3)
        for name in ("answer.js", "about.js", "charts.js", "vendor/uplot.js"):
            page.evaluate("module => import(module).then(() => {})", module(page, name))
    page.set_input_files("#file", SONG)
    expect(page.get_by_role("alert")).to_have_attribute("data-code", "unreachable")
    expect(page.locator("#banner")).to_contain_text("can't be reached")
    shot(page, "server-gone")
    with running_server(model=tiny_model, decoders=1, port=port):
        expect(page.locator("#banner")).to_have_text("The server is back.", timeout=10_000)
        page.get_by_role("button", name="Try again").click()
        expect(page.locator("#answer .track")).to_have_text("song.mp3")
        page.goto("about:blank")


def broken(page, times, status=None):
    """The next requests for a track get this far; the list grows by each."""
    asked = []

    def answer(route):
        asked.append(route.request.url)
        if len(asked) > times:
            route.continue_()
        elif status is None:
            route.abort("connectionreset")
        else:
            route.fulfill(status=status, body="<html>")  # as a balancer has it

    page.route("**/predict?*", answer)
    return asked


@pytest.mark.parametrize("status", [None, 502])
def test_what_is_lost_with_a_server_is_asked_for_once_more(page, status):
    asked = broken(page, 1, status)
    page.set_input_files("#file", SONG)
    expect(page.locator("#stages")).to_contain_text("Trying again in 1 s.")
    answered(page, "song.mp3")
    assert len(asked) == 2


def test_it_is_asked_for_no_more_than_once_more(page):
    asked = broken(page, 2)
    page.set_input_files("#file", SONG)
    expect(page.get_by_role("alert")).to_have_attribute("data-code", "unreachable")
    assert len(asked) == 2
    page.get_by_role("button", name="Try again").click()
    answered(page, "song.mp3")


def test_another_try_can_be_stopped(page):
    broken(page, 1)
    page.set_input_files("#file", SONG)
    expect(page.locator("#stages")).to_contain_text("Trying again")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#banner")).to_contain_text("Stopped.")
    expect(page.locator("#work")).to_be_hidden()


def test_a_server_that_wants_a_key(page, tiny_model):
    key, entry = new_key("me")
    with running_server(model=tiny_model, decoders=1, api_keys=[entry]) as guarded:
        page.goto(guarded.url)
        page.set_input_files("#file", SONG)
        dialog = page.get_by_role("dialog", name="This server wants a key")
        dialog.get_by_label("API key").fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("This API key is not known.")
        shot(page, "key")
        dialog.get_by_label("API key").fill(key)
        page.keyboard.press("Enter")
        expect(page.locator("#answer .track")).to_have_text("song.mp3")
        assert key not in page.evaluate("JSON.stringify(localStorage)")
        page.goto("about:blank")
