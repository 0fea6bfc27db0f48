"""Every way in leads to an answer: link, file, drop, paste, microphone, permalink, history."""

import base64
import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from serve.audio.decode import decode
from tests.media import Bytes, by_name, encode
from tests.standin import Video
from tests.web.conftest import module, shot, wait

ID = "dQw4w9WgXcQ"
URL = f"https://www.youtube.com/watch?v={ID}"
SONG = Path(__file__).parents[1] / "data" / "song.mp3"
# A minute of the song: what is music must be said to be.
_HEARD = np.concatenate(list(decode(Bytes(SONG.read_bytes()), 44_100)))
M4A = encode(np.tile(_HEARD, (2, 4))[:, : 60 * 44_100], by_name("m4a-index-first"))

# Hands a file to the page as a drop or a paste would.
HAND_OVER = """([kind, bytes]) => {
  const data = new DataTransfer();
  const content = Uint8Array.from(atob(bytes), letter => letter.charCodeAt(0));
  data.items.add(new File([content], `${kind}.mp3`, { type: "audio/mpeg" }));
  if (kind === "drop") {
    window.dispatchEvent(new DragEvent("dragenter", { dataTransfer: data, bubbles: true }));
    if (getComputedStyle(document.getElementById("drop")).visibility !== "visible") throw "no sign";
  }
  const made = kind === "drop"
    ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
    : new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
  document.body.dispatchEvent(made);
}"""


def answered(page, title):
    """Wait for a track's answer, with its charts."""
    expect(page.locator("#answer .track")).to_have_text(title)
    expect(page.locator("#answer .ranking li")).to_have_count(10)
    expect(page.locator("#answer .u-over")).to_have_count(2)
    expect(page.locator("#work")).to_be_hidden()


def listen(page, url=URL):
    page.fill("#link", url)
    page.click("#link-form button")


@pytest.fixture
def video(youtube):
    return youtube.add(Video(ID, {140: M4A}, title="A song ♫ <b>", length=60))


def test_a_link(page, video, site):
    page.fill("#link", "youtu.be/" + ID)
    expect(page.locator("#link-says")).to_have_text("That is a video. Press Listen.")
    page.click("#link-form button")
    answered(page, video.title)
    assert page.url == f"{site.url}/?v={ID}"
    genre = page.locator("#answer h2").text_content()
    assert genre == page.locator(".ranking li").first.locator(".name").text_content()
    assert page.title() == f"{genre} · {video.title} · topgenre"
    assert page.evaluate("document.activeElement.id") == "answer-title"
    expect(page.get_by_role("link", name="Open on YouTube")).to_have_attribute("href", URL)
    shot(page, "link")


@pytest.mark.parametrize(
    ("url", "code"), [("hello", "bad_url"), ("https://vimeo.com/1", "not_youtube")]
)
def test_links_are_checked_as_typed_in_the_servers_words(page, site, url, code):
    with site.client() as client:
        words = client.get("/check", params={"url": url}).json()
    assert words["code"] == code
    page.locator("#link").press_sequentially(url)
    expect(page.locator("#link-says")).to_have_text(words["error"])
    expect(page.locator("#link")).to_have_attribute("aria-invalid", "true")
    page.keyboard.press("Enter")
    expect(page.locator("#link-says")).to_have_text(words["error"])
    expect(page.locator("#work")).to_be_hidden()
    shot(page, f"link-{code}")


def test_a_file_that_is_picked(page):
    page.set_input_files("#file", SONG)
    answered(page, "song.mp3")
    wait(page, "Math.abs(document.querySelector('audio').duration - 20) < 0.1")
    shot(page, "file")


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_file_that_is_handed_over(page, kind):
    page.evaluate(HAND_OVER, [kind, base64.b64encode(SONG.read_bytes()).decode()])
    answered(page, f"{kind}.mp3")
    expect(page.locator("#drop")).not_to_have_class(re.compile("over"))


def test_a_link_that_is_pasted_anywhere(page):
    page.evaluate(
        """url => {
          const data = new DataTransfer();
          data.setData("text", ` ${url}\\n`);
          const init = { clipboardData: data, bubbles: true };
          document.body.dispatchEvent(new ClipboardEvent("paste", init));
        }""",
        URL,
    )
    expect(page.locator("#link")).to_have_value(URL)
    expect(page.locator("#link-says")).to_have_text("That is a video. Press Listen.")


def test_the_microphone(page):
    page.click("#record")
    expect(page.locator("#recorder-time")).to_have_text(re.compile(r"\d+ s left"))
    # The browser's false microphone beeps: the level must show it.
    wait(
        page,
        "[...document.querySelectorAll('#level i')]"
        ".some(bar => bar.style.getPropertyValue('--level') > 0.2)",
    )
    shot(page, "microphone")
    expect(page.locator("#recorder-time")).to_have_text("10 s left")
    page.click("#recorder-stop")
    answered(page, re.compile(r"Recording 0:0\d"))
    shot(page, "microphone-answer")


def test_a_recording_that_is_discarded(page):
    page.click("#record")
    expect(page.locator("#recorder-title")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#recorder")).to_be_hidden()
    expect(page.locator("#work")).to_be_hidden()
    expect(page.locator("#record")).to_be_enabled()


def test_a_permalink(page, video, site):
    page.goto(f"{site.url}/?v={ID}")
    answered(page, video.title)
    page.get_by_role("button", name="Hear another").click()
    assert page.url == f"{site.url}/"
    page.go_back()
    answered(page, video.title)


def test_copying_the_permalink(page, context, video, site):
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    listen(page)
    answered(page, video.title)
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == f"{site.url}/?v={ID}"


def test_history(page, video):
    listen(page)
    answered(page, video.title)
    page.set_input_files("#file", SONG)
    answered(page, "song.mp3")
    page.reload()
    entries = page.locator("#history-list button")
    expect(entries).to_have_count(2)
    expect(entries.first).to_contain_text("song.mp3")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    entries.first.click()
    expect(page.locator("#answer .track")).to_have_text("song.mp3")
    expect(page.locator("#answer .u-over")).to_have_count(1)  # the picture is not kept
    entries.last.click()
    expect(page.locator("#answer .track")).to_have_text(video.title)
    assert not any("/predict" in url for url in asked)
    shot(page, "history")
    page.click("#history-clear")
    expect(page.locator("#history")).to_be_hidden()
    page.reload()
    expect(page.locator("#history")).to_be_hidden()


def test_history_is_bounded_and_survives_nonsense(page):
    page.set_input_files("#file", SONG)
    answered(page, "song.mp3")
    stored = page.evaluate(
        """async module => {
          const [entry] = JSON.parse(localStorage.getItem("topgenre.history"));
          const many = Array.from({ length: 30 }, (_, n) => ({ ...entry, id: `id${n}` }));
          localStorage.setItem("topgenre.history", JSON.stringify(many));
          const { remember } = await import(module);
          remember({ ...entry.answer, silent: [] }, "new");
          const kept = JSON.parse(localStorage.getItem("topgenre.history"));
          localStorage.setItem("topgenre.history", "nonsense");
          return [kept.length, kept[0].id, "mel" in kept[0].answer];
        }""",
        module(page, "history.js"),
    )
    assert stored == [20, "new", False]
    page.reload()
    expect(page.locator("#genres li")).to_have_count(10)
    expect(page.locator("#history")).to_be_hidden()


def test_downloads(page):
    page.set_input_files("#file", SONG)
    answered(page, "song.mp3")
    with page.expect_download() as got:
        page.get_by_role("button", name="Download JSON").click()
    assert got.value.suggested_filename == "song.mp3.json"
    answer = json.loads(Path(got.value.path()).read_text())
    assert answer["video_title"] == "song.mp3"
    assert not {"mel", "silent"} & set(answer)
    with page.expect_download() as got:
        page.get_by_role("button", name="Download CSV").click()
    assert got.value.suggested_filename == "song.mp3.csv"
    rows = list(csv.DictReader(io.StringIO(Path(got.value.path()).read_text())))
    assert [row["genre"] for row in rows] == [clip["genre"] for clip in answer["timeline"]]
    assert [float(row["start_s"]) for row in rows] == [c["start"] for c in answer["timeline"]]
    for row, shares in zip(rows, answer["clips"]["percent"], strict=True):
        assert [float(row[f"{g}_percent"]) for g in answer["clips"]["genres"]] == shares
