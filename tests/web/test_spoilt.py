"""What spoils a page: keys as pasted, files that are gone, odd histories, hosts without HTTPS."""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import expect

from serve.keys import new_key
from tests.media import by_name, encode, music
from tests.server import running_server
from tests.standin import Video
from tests.web.conftest import PLAIN, wait
from tests.web.test_ways import ID, M4A, SONG, answered, listen


@pytest.fixture(scope="package")
def small(tiny_model):
    """A server with a model of three genres, which wants a key."""
    key, entry = new_key("me")
    with running_server(model=tiny_model, decoders=1, api_keys=[entry]) as running:
        yield running, key


def test_a_key_is_used_without_what_nobody_sees(page, small):
    running, key = small
    page.goto(running.url)
    page.set_input_files("#file", SONG)
    page.get_by_label("API key").fill(f"\u202a\ufeff {key}\u200b\u00a0\u202c")
    page.keyboard.press("Enter")
    expect(page.locator("#answer .track")).to_have_text("song.mp3")
    # An older page may have kept what can't be sent.
    page.evaluate("sessionStorage.setItem('topgenre.key', 'ключ')")
    page.reload()
    page.set_input_files("#file", SONG)
    page.get_by_label("API key").fill(key)
    page.keyboard.press("Enter")
    expect(page.locator("#answer .track")).to_have_text("song.mp3")
    page.goto("about:blank")


def drop(page, *paths):
    """Drop what is at these paths on the page, as a file manager does."""
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 200, "y": 200, "data": data})


def unreadable(page, name):
    problem = page.get_by_role("alert")
    expect(problem).to_have_attribute("data-code", "unreadable")
    expect(problem).to_contain_text(name)
    expect(page.locator("#banner")).to_be_empty()


def test_a_folder_or_a_file_that_is_gone_says_so(page, tmp_path):
    (tmp_path / "My music").mkdir()
    drop(page, tmp_path / "My music")
    unreadable(page, "My music")
    drop(page, tmp_path / "gone.mp3")
    unreadable(page, "gone.mp3")


def test_a_file_that_vanishes_on_its_way_says_so(page, tmp_path):
    path = tmp_path / "song.mp3"
    path.write_bytes(SONG.read_bytes())

    def vanish(route):
        path.unlink()
        route.continue_()

    page.route("**/predict?*", vanish)
    page.set_input_files("#file", path)
    unreadable(page, "song.mp3")


ANSWER = {
    "video_title": "x", "top_prediction": "a", "results": {"a": 100.0},
    "timeline": [{"genre": "a"}],
    "clips": {"genres": ["a"], "percent": [[100.0]]}, "duration_s": 1.4, "clip_s": 1.4,
    "timings_ms": {"total": 1.0},
}  # fmt: skip


BAD: list[Any] = [
    None, 7, "text", [], {}, {"answer": None}, {"answer": {}},
    *({"answer": {k: v for k, v in ANSWER.items() if k != lacking}} for lacking in ANSWER),
    *({"answer": ANSWER | {name: "?"}} for name in ANSWER if name != "video_title"),
    *({"answer": ANSWER | {"timeline": [{"genre": "a", name: "x"}]}}
      for name in ("confidence", "music")),
    {"answer": ANSWER | {"timeline": [None]}}, {"answer": ANSWER | {"video_title": 1}},
]  # fmt: skip


def test_bad_entries_of_the_history_are_left_out(page):
    text = json.dumps([*BAD, {"answer": ANSWER | {"request_id": "1"}}])
    page.evaluate("text => localStorage.setItem('topgenre.history', text)", text)
    page.reload()
    expect(page.locator("#genres li")).to_have_count(10)
    expect(page.locator("#history-list button")).to_have_count(1)
    page.locator("#history-list button").click()
    expect(page.locator("#answer .track")).to_have_text("x")


MARK = """[...document.querySelectorAll('.u-select')].every(
  mark => mark.offsetWidth >= 2 && mark.offsetLeft > 50)"""


def test_the_mark_stays_on_the_timeline(page):
    page.set_input_files("#file", SONG)
    answered(page, "song.mp3")
    page.get_by_role("slider").press("PageUp")
    wait(page, MARK)
    page.get_by_label("Smooth").check()
    wait(page, MARK)
    page.set_viewport_size({"width": 500, "height": 700})
    wait(page, f"document.querySelector('.u-over').offsetWidth < 500 && {MARK}")


def test_a_file_that_the_browser_can_not_play_says_so(page):
    content = encode(music(4.0), by_name("aiff"))
    page.set_input_files("#file", {"name": "a.aiff", "mimeType": "audio/aiff", "buffer": content})
    answered(page, "a.aiff")
    expect(page.locator(".player")).to_contain_text("can't play")
    expect(page.locator("audio")).to_be_hidden()
    expect(page.get_by_role("button", name=re.compile("^Hear 0"))).to_have_count(0)
    page.get_by_role("slider", name=re.compile("piece to piece.$")).press("Enter")
    assert "hear" not in page.locator(".time").text_content()


def test_without_https_the_page_says_what_browsers_refuse(page, tiny_model, youtube):
    youtube.add(Video(ID, {140: M4A}, title="T", length=60))
    with running_server(model=tiny_model, decoders=1, hosts=[PLAIN]) as plain:
        page.goto(plain.url.replace("127.0.0.1", PLAIN))
        assert not page.evaluate("isSecureContext")
        page.click("#record")
        expect(page.get_by_role("alert")).to_have_attribute("data-code", "microphone_insecure")
        expect(page.get_by_role("alert")).to_contain_text("https://")
        listen(page)
        expect(page.locator("#answer .track")).to_have_text("T")
        page.get_by_role("button", name="Copy link").click()
        expect(page.locator("#answer .says")).to_contain_text(f"The link: {page.url}")
        page.goto("about:blank")


def test_there_may_be_no_microphone(page):
    for reason, code in [
        ("NotFoundError", "_missing"),
        ("NotReadableError", "_busy"),
        ("NotAllowedError", ""),
    ]:
        page.evaluate(
            """reason => {
              const refused = new DOMException("", reason);
              navigator.mediaDevices.getUserMedia = () => Promise.reject(refused);
            }""",
            reason,
        )
        page.click("#record")
        expect(page.get_by_role("alert")).to_have_attribute("data-code", f"microphone{code}")
