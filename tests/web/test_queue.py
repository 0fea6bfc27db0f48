"""Several tracks at once: a queue with a result each, Esc, all as a file; and where the page is."""

import csv
import io
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.eventually import until
from tests.server import running_server
from tests.standin import Video, faults
from tests.web.conftest import module, shot
from tests.web.test_spoilt import drop
from tests.web.test_ways import ID, M4A, SONG, URL, answered, listen

DROP_LINK = """([type, text, target]) => {
  const dataTransfer = new DataTransfer();
  dataTransfer.setData(type, text);
  const init = { dataTransfer, bubbles: true, cancelable: true };
  const at = document.querySelector(target);
  for (const kind of ["dragenter", "dragover", "drop"]) at.dispatchEvent(new DragEvent(kind, init));
}"""


def files(*named):
    return [
        {"name": name, "mimeType": "audio/mpeg", "buffer": content or SONG.read_bytes()}
        for name, content in named
    ]


def downloaded(page, name):
    with page.expect_download() as got:
        page.get_by_role("button", name=name).click()
    return Path(got.value.path()).read_text()


def test_several_files_are_answered_one_after_the_other(page):
    page.set_input_files(
        "#file", files(("=1+1.mp3", None), ("b.txt", b"no" * 999), ("c, d.mp3", None))
    )
    expect(page.locator("#queue-title")).to_have_text("2 of 3 answered")
    expect(page.locator("#work")).to_be_hidden()
    expect(page.locator("#queue-title")).to_be_focused()
    rows = page.locator("#queue-list li")
    expect(rows.nth(1)).to_contain_text("b.txtThis is text, not audio.")
    shot(page, "queue")
    lines = json.loads(downloaded(page, "Download all as JSON"))
    assert [(line["index"], line["name"]) for line in lines] == [
        (0, "=1+1.mp3"), (1, "b.txt"), (2, "c, d.mp3"),
    ]  # fmt: skip
    assert lines[1]["code"] == "undecodable"
    assert "mel" not in lines[2]
    table = list(csv.DictReader(io.StringIO(downloaded(page, "Download all as CSV"))))
    assert [row["track"] for row in table] == ["'=1+1.mp3", "b.txt", "c, d.mp3"]
    assert table[2]["top_prediction"] == lines[2]["top_prediction"]
    assert float(table[2]["pop_percent"]) == lines[2]["results"]["pop"]
    assert table[1]["code"] == "undecodable"
    rows.nth(2).get_by_role("button").click()
    answered(page, "c, d.mp3")
    expect(page.locator("audio")).to_be_visible()
    expect(page.locator("#queue")).to_be_visible()
    page.set_input_files("#file", SONG)  # a new round begins
    answered(page, "song.mp3")
    expect(page.locator("#queue")).to_be_hidden()


def test_what_is_dropped_while_a_track_is_under_way_comes_next_and_escape_stops(
    page, site, youtube, tmp_path
):
    youtube.add(Video(ID, {140: M4A}, title="Slow", length=60, fault=faults.stall(100_000)))
    listen(page)
    until(lambda: site.metric("topgenre_requests_active") == 1)
    drop(page, SONG)
    page.evaluate(DROP_LINK, ["text/plain", "https://youtu.be/" + ID[::-1], "body"])
    rows = page.locator("#queue-list li")
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_have_text("song.mp3waiting")
    page.keyboard.press("Escape")
    until(lambda: site.metric("topgenre_requests_active") == 0)
    expect(page.locator("#banner")).to_contain_text("Stopped")
    expect(rows).to_have_class(["stopped"] * 3)
    expect(page.locator("#queue-title")).to_be_focused()
    youtube.add(Video(ID, {140: M4A}, title="T", length=60))
    page.get_by_role("button", name="Try the others again").click()
    expect(rows).to_have_class(["done", "done", "failed"])
    expect(page.locator("#queue-title")).to_be_focused()


@pytest.mark.parametrize(
    ("kind", "text", "target"),
    [
        ("text/uri-list", f"# a comment\r\n{URL}\r\n", "body"),
        ("text/plain", f" {URL}\n", "h1"),
        ("text/uri-list", URL, "#link"),
    ],
)
def test_a_link_that_is_dropped_is_taken(page, youtube, kind, text, target):
    youtube.add(Video(ID, {140: M4A}, title="T", length=60))
    page.evaluate(DROP_LINK, [kind, text, target])
    answered(page, "T")
    expect(page.locator("#drop")).not_to_have_class(re.compile("over"))


def test_a_dropped_text_without_a_link_says_so(page):
    page.evaluate(DROP_LINK, ["text/plain", "hello", "body"])
    expect(page.locator("#link-says")).to_have_class(re.compile("bad"))


def test_retry_after_counts_down_and_a_queue_waits_for_it(page, tiny_model):
    with running_server(model=tiny_model, decoders=1, address_rate="60/minute burst 1") as slow:
        page.goto(slow.url)
        page.set_input_files("#file", [SONG, SONG])
        expect(page.locator("#stages")).to_contain_text(re.compile("asked too often.* in 1 s"))
        expect(page.locator("#queue-title")).to_have_text("2 of 2 answered")
        page.set_input_files("#file", SONG)
        retry = page.get_by_role("alert").get_by_role("button")
        expect(retry).to_have_text(re.compile(r"Try again in 1 s"))
        expect(retry).to_be_focused()
        retry.click(force=True)  # nothing yet
        expect(retry).to_have_text("Try again")
        retry.click()
        expect(page.locator("#answer .track")).to_have_text("song.mp3")
        page.goto("about:blank")


def test_title_and_address_are_of_what_is_shown(page, site, youtube):
    youtube.add(Video(ID, {140: M4A}, title="T", length=60))
    listen(page)
    answered(page, "T")
    assert page.url == f"{site.url}/?v={ID}"
    page.set_input_files("#file", SONG)
    answered(page, "song.mp3")
    assert page.url == f"{site.url}/"
    assert page.title().endswith(" · song.mp3 · topgenre")
    page.go_back()
    answered(page, "T")
    assert "· T ·" in page.title()
    page.locator(".skip").press("Enter")  # a place within the page is no other page
    expect(page.locator("#answer .track")).to_have_text("T")
    page.set_input_files("#file", files(("bad.mp3", b"no" * 99)))
    expect(page.get_by_role("alert")).to_be_visible()
    assert (page.title(), page.url.partition("#")[0]) == ("topgenre", f"{site.url}/")
    assert page.evaluate("document.activeElement !== document.body")


def test_back_and_cancel_leave_no_address_behind(page, site, youtube):
    youtube.add(Video(ID, {140: M4A}, title="Slow", length=60, fault=faults.stall(100_000)))
    listen(page)
    until(lambda: site.metric("topgenre_requests_active") == 1)
    page.go_back()
    until(lambda: site.metric("topgenre_requests_active") == 0)
    expect(page.locator("#work")).to_be_hidden()
    expect(page.locator("#banner")).to_be_empty()
    assert page.evaluate("document.activeElement !== document.body")
    page.goto(f"{site.url}/?v={ID}")
    until(lambda: site.metric("topgenre_requests_active") == 1)
    page.keyboard.press("Escape")
    expect(page.locator("#banner")).to_contain_text("Stopped")
    assert (page.title(), page.url) == ("topgenre", f"{site.url}/")
    until(lambda: site.metric("topgenre_requests_active") == 0)


def test_durations_are_told_in_minutes(page):
    told = page.evaluate(
        """async module => {
          const { clock, lasting } = await import(module);
          return [[0.21, 12, 60, 65, 3600, 3723].map(lasting), [65, 3723].map(clock)];
        }""",
        module(page, "text.js"),
    )
    assert told == [
        ["0.21 s", "12 s", "1 minute", "1 minute 5 seconds", "1 hour", "1 hour 2 minutes"],
        ["1:05", "1:02:03"],
    ]
