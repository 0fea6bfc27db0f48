"""The answer itself: timeline, spectrogram, sound, and what is said of doubt and silence."""

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.media import by_name, encode, music
from tests.standin import Video
from tests.web.conftest import module, shot, wait
from tests.web.test_ways import ID, M4A, SONG, answered, listen

NOW = "document.getElementById('timeline').getAttribute('aria-valuetext')"


def test_the_timeline_by_keyboard(page):
    page.set_input_files("#file", SONG)
    answered(page, "song.mp3")
    timeline = page.get_by_role("slider", name=re.compile("Genre over time"))
    timeline.focus()
    expect(timeline).to_have_attribute("aria-valuemax", "13")
    for key, piece in [
        ("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("PageUp", 11), ("PageUp", 13),
        ("Home", 0), ("ArrowLeft", 0), ("End", 13),
    ]:  # fmt: skip
        page.keyboard.press(key)
        expect(timeline).to_have_attribute("aria-valuenow", str(piece))
    expect(timeline).to_have_attribute("aria-valuetext", re.compile(r"^0:18 to 0:\d+: \w+ \d+ %"))
    expect(page.locator(".readout")).to_contain_text("0:18–0:")
    shot(page, "keyboard")


def test_the_timeline_by_pointer_and_the_sound(page):
    page.set_input_files("#file", SONG)
    answered(page, "song.mp3")
    wait(page, "document.querySelector('audio').readyState >= 1")
    chart = page.locator(".u-over").first
    box = chart.bounding_box()
    chart.hover(position={"x": box["width"] * 0.5, "y": 40})
    hovered = page.evaluate(NOW)
    assert hovered.startswith("0:09 to 0:11")
    chart.click(position={"x": box["width"] * 0.75, "y": 40})
    wait(page, "!document.querySelector('audio').paused")
    at = page.evaluate("document.querySelector('audio').currentTime")
    assert 14 <= at < 16
    # What is being heard is what is marked.
    wait(page, f"!{NOW}.startsWith('0:14')")
    page.evaluate("document.querySelector('audio').pause()")
    page.get_by_role("slider").press("Home")
    page.keyboard.press("Enter")
    wait(page, "document.querySelector('audio').currentTime < 5")


def test_the_spectrogram_lies_under_the_timeline(page):
    page.set_input_files("#file", SONG)
    answered(page, "song.mp3")
    shares, mel = (page.locator(".u-over").nth(n).bounding_box() for n in (0, 1))
    assert (mel["x"], mel["width"]) == (shares["x"], shares["width"])
    assert mel["y"] > shares["y"] + shares["height"]
    # It is a picture, not one colour.
    shades = page.evaluate(
        """() => {
          const canvas = document.querySelector(".spectrogram canvas");
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return new Set(new Uint32Array(data.buffer)).size;
        }"""
    )
    assert shades > 100


def test_smoothing(page):
    page.set_input_files("#file", SONG)
    answered(page, "song.mp3")
    picture = "document.querySelector('.u-wrap canvas').toDataURL()"
    raw = page.evaluate(picture)
    page.get_by_label("Smooth").check()
    wait(page, f"{picture} !== '{raw}'")
    shot(page, "smooth")
    page.get_by_label("Smooth").uncheck()
    wait(page, f"{picture} === '{raw}'")


def test_a_video_opens_at_that_second(page, context, youtube):
    youtube.add(Video(ID, {140: M4A}, title="T", length=60))
    listen(page)
    answered(page, "T")
    page.get_by_role("slider").press("PageUp")
    with context.expect_page() as opened:
        page.keyboard.press("Enter")
    assert opened.value.url == f"https://www.youtube.com/watch?v={ID}&t=14s"
    assert opened.value.evaluate("window.opener") is None
    # The server's own policy parts the two as well; the link does not lean on it.
    expect(page.locator(".now a")).to_have_attribute("rel", "noopener")


def test_the_timeline_as_a_list(page):
    page.set_input_files("#file", SONG)
    answered(page, "song.mp3")
    page.get_by_text("As a list").click()
    rows = page.locator(".stretches li")
    assert rows.count() >= 2
    expect(rows.first).to_have_text(re.compile(r"^0:00 to 0:\d\d\w+"))


def audio(samples):
    return encode(np.stack([samples, samples]).astype(np.float32), by_name("flac"))


def upload(page, name, content):
    page.set_input_files("#file", {"name": name, "mimeType": "audio/flac", "buffer": content})
    answered(page, name)


def test_what_is_not_music_is_said_plainly(page):
    noise = 0.1 * np.random.default_rng(0).standard_normal(44_100 * 8)
    upload(page, "noise.flac", audio(noise))
    expect(page.locator("#answer h2")).to_have_class("other")
    expect(page.locator("#answer h2")).to_have_text("not music")
    expect(page.locator(".sentence")).to_have_text(re.compile("^This (sounds|does not sound) like"))
    expect(page.locator(".sentence")).to_contain_text("music.")
    expect(page.locator(".note").first).to_contain_text("if it had to be one")
    expect(page.locator(".tags")).to_have_count(0)
    timeline = page.get_by_role("slider")
    expect(timeline).to_have_attribute("aria-valuetext", re.compile(": not music$"))
    expect(page.locator("#history-list .fine").first).to_have_text("not music")
    shot(page, "other")


CHANGED = """change => {
  const entries = JSON.parse(localStorage.getItem("topgenre.history"));
  Object.assign(entries[0].answer, change);
  localStorage.setItem("topgenre.history", JSON.stringify(entries));
}"""


def changed(page, **change):
    """The song's answer from the history, after some of it was changed there."""
    page.set_input_files("#file", SONG)
    answered(page, "song.mp3")
    page.evaluate(CHANGED, change)
    page.reload()
    page.locator("#history-list button").first.click()


def test_doubt_is_said_plainly(page):
    changed(page, music=0.9, top_prediction="jazz", results={"jazz": 30.0, "pop": 25.0})
    expect(page.locator("#answer h2")).to_have_class("unsure")
    expect(page.locator(".sentence")).to_have_text(re.compile("^Not sure: jazz"))
    expect(page.locator(".note").first).to_contain_text("Music unlike these 10 genres")
    shot(page, "unsure")


def test_tags_are_told_and_what_does_not_count(page):
    pieces = [{"start": 0.0, "genre": "jazz", "confidence": 0.9, "music": 0.1}]
    pieces += [
        {"start": 1.4 * n, "genre": "jazz", "confidence": 0.9, "music": 0.9} for n in range(1, 14)
    ]
    tags = [
        {"tag": "Swing music", "probability": 0.41},
        {"tag": "<b>Choir</b>", "probability": 0.1},
    ]
    changed(page, music=0.85, tags=tags, timeline=pieces)
    expect(page.locator(".tags li")).to_have_text(["Swing music", "<b>Choir</b>"])
    expect(page.locator(".tags")).to_contain_text("Sounds like")
    expect(page.locator(".note").last).to_have_text("0:01 of it is not music, and does not count.")
    expect(page.get_by_role("slider")).to_have_attribute(
        "aria-valuetext", "0:00 to 0:01: not music"
    )


def test_an_answer_that_knows_nothing_of_music_is_shown_as_ever(page):
    changed(page)
    page.evaluate(
        """() => {
          const entries = JSON.parse(localStorage.getItem("topgenre.history"));
          for (const { answer } of entries) {
            delete answer.music;
            delete answer.tags;
            for (const piece of answer.timeline) delete piece.music;
          }
          localStorage.setItem("topgenre.history", JSON.stringify(entries));
        }"""
    )
    page.reload()
    page.locator("#history-list button").first.click()
    expect(page.locator("#answer h2")).not_to_have_class("other")
    expect(page.locator(".tags")).to_have_count(0)


def test_silence_is_said_plainly(page):
    silent = np.concatenate([music(7.0)[0], np.zeros(44_100 * 7), music(7.0)[0]])
    upload(page, "gap.flac", audio(silent))
    expect(page.locator(".note").last).to_have_text(re.compile("^0:0[67] of it is silent"))
    timeline = page.get_by_role("slider")
    for _ in range(7):
        timeline.press("ArrowRight")
    expect(timeline).to_have_attribute("aria-valuetext", re.compile(": silence$"))
    shot(page, "silence")
    # It is known from the history too, where there is no picture.
    page.locator("#history-list button").first.click()
    expect(page.locator(".note").last).to_have_text(re.compile("of it is silent"))


def test_a_short_track_is_said_to_be_short(page):
    upload(page, "short.flac", audio(music(1.0)[0]))
    expect(page.locator(".note").last).to_have_text(re.compile("^It is short"))


@pytest.mark.parametrize("share", [(80, "sure"), (55, "sure"), (54.9, "leaning"), (34.9, "unsure")])
def test_words_for_how_sure(page, share):
    number, word = share
    found = page.evaluate(
        """async ([module, share]) => {
          const { certainty } = await import(module);
          return certainty({ top_prediction: "a", results: { a: share } });
        }""",
        [module(page, "answer.js"), number],
    )
    assert found == word


def test_how_it_works(page, site):
    page.get_by_role("button", name="How it works").click()
    about = page.get_by_role("dialog", name="How it works")
    card = site.pipeline.model.card
    right = f"{100 * card.scores['valid']['track_accuracy']:.0f} %"
    for words in (card.version, card.training["about"], "10 min", "CPU", right, "1.4 seconds"):
        expect(about).to_contain_text(words)
    shot(page, "about")
    page.keyboard.press("Escape")
    expect(about).to_be_hidden()
    expect(page.get_by_role("button", name="How it works")).to_be_focused()
