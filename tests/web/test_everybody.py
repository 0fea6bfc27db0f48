"""For everybody: axe, keyboard, phones, dark and light, little motion, slow lines."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.standin import Video
from tests.web.conftest import shot, wait
from tests.web.test_ways import ID, M4A, SONG, answered, listen

#: What the first look at the page may cost on the wire, in bytes.
FIRST_PAINT_BYTES = 100_000
PHONE = {"width": 360, "height": 740}


def serious(page):
    found = Axe().run(page).response["violations"]
    return [(v["id"], [n["html"] for n in v["nodes"]]) for v in found if v["impact"] != "minor"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(page, scheme):
    page.emulate_media(color_scheme=scheme)
    assert serious(page) == []
    page.fill("#link", "https://vimeo.com/1")
    expect(page.locator("#link-says")).not_to_be_empty()
    assert serious(page) == []
    page.fill("#link", "")
    page.set_input_files("#file", SONG)
    answered(page, "song.mp3")
    page.get_by_text("As a list").click()
    assert serious(page) == []
    page.get_by_role("button", name="How it works").click()
    expect(page.locator("#about dl").first).to_be_visible()
    assert serious(page) == []
    page.keyboard.press("Escape")
    page.set_input_files("#file", {"name": "a", "mimeType": "audio/x", "buffer": b"no" * 99})
    expect(page.get_by_role("alert")).to_be_visible()
    assert serious(page) == []


def test_axe_would_find_something(page):
    page.evaluate(
        "document.getElementById('title').parentElement.append(document.createElement('button'))"
    )
    assert [name for name, _ in serious(page)] == ["button-name"]


def test_everything_by_keyboard(page, youtube):
    youtube.add(Video(ID, {140: M4A}, title="T", length=60))
    order = []
    page.keyboard.press("Tab")
    for _ in range(7):
        order.append(
            page.evaluate("document.activeElement.textContent || document.activeElement.id")
        )
        # Where the keyboard is can be seen.
        outline = page.evaluate(
            """() => {
              const at = document.activeElement;
              const style = getComputedStyle(at.id === "link" ? at.parentElement : at);
              return style.outlineStyle !== "none" || style.boxShadow !== "none";
            }"""
        )
        assert outline, order[-1]
        page.keyboard.press("Tab")
    assert order == [
        "Skip to the content", "topgenre", "API", "How it works", "link", "Listen", "Choose a file",
    ]  # fmt: skip
    page.locator("#link").focus()
    page.keyboard.type(f"youtu.be/{ID}")
    page.keyboard.press("Enter")
    answered(page, "T")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "timeline":
            break
    page.keyboard.press("ArrowRight")
    expect(page.locator("#timeline")).to_have_attribute("aria-valuenow", "1")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone(page, youtube, scheme):
    youtube.add(Video(ID, {140: M4A}, title="A-very-long-title-" * 8, length=60))
    page.set_viewport_size(PHONE)
    page.emulate_media(color_scheme=scheme)
    expect(page.locator("#genres li")).to_have_count(10)
    shot(page, f"phone-{scheme}")
    listen(page)
    answered(page, "A-very-long-title-" * 8)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    small = page.evaluate(
        """() => [...document.querySelectorAll("button, a, input, summary")]
          .map(e => [e.id || e.textContent, e.getBoundingClientRect()])
          .filter(([, box]) => box.width && (box.height < 24 || box.width < 18))
          .map(([name]) => name)"""
    )
    assert [name for name in small if "Skip" not in name and name != "smooth"] == []
    shot(page, f"phone-{scheme}-answer")


def test_dark_and_light_change_while_it_is_open(page):
    page.set_input_files("#file", SONG)
    answered(page, "song.mp3")
    chart = "document.querySelector('.u-wrap canvas').toDataURL()"
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = [page.evaluate(chart), page.evaluate(ground)]
    shot(page, "light")
    page.emulate_media(color_scheme="dark")
    wait(page, f"{chart} !== '{light[0]}'")
    assert page.evaluate(ground) != light[1]
    shot(page, "dark")
    page.emulate_media(color_scheme="light")
    wait(page, f"{chart} === '{light[0]}'")


@pytest.mark.parametrize(("motion", "moves"), [("reduce", False), ("no-preference", True)])
def test_nothing_moves_for_who_wants_no_motion(page, motion, moves):
    page.emulate_media(reduced_motion=motion)
    page.set_input_files("#file", SONG)
    answered(page, "song.mp3")
    name = "getComputedStyle(document.querySelector('.ranking .bar'), '::before').animationName"
    assert (page.evaluate(name) != "none") == moves


def test_first_paint_is_light(context, page, site):
    fresh = context.new_page()
    session = context.new_cdp_session(fresh)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    taken = []
    session.on("Network.loadingFinished", lambda event: taken.append(event["encodedDataLength"]))
    fresh.goto(site.url, wait_until="networkidle")
    expect(fresh.locator("#genres li")).to_have_count(10)
    assert len(taken) > 5
    print(f"{sum(taken)} bytes in {len(taken)} answers")
    assert sum(taken) < FIRST_PAINT_BYTES
    paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
    print(f"first contentful paint after {fresh.evaluate(paint):.0f} ms")


BAR = "getComputedStyle(document.querySelector('.ranking .bar'), '::before').backgroundColor"
WIDTH = "document.documentElement.scrollWidth"


def test_the_smallest_screen_and_colours_of_ones_own(page):
    page.set_viewport_size({"width": 320, "height": 600})
    expect(page.locator("#genres li")).to_have_count(10)
    assert page.evaluate(WIDTH) == 320
    song = {"name": "long" * 30, "mimeType": "audio/mpeg", "buffer": SONG.read_bytes()}
    page.set_input_files("#file", [song, song | {"buffer": b"no" * 99}])
    expect(page.locator("#queue-title")).to_be_focused()
    assert page.evaluate(WIDTH) == 320
    page.locator("#queue-list button").click()
    answered(page, "long" * 30)
    assert page.evaluate(WIDTH) == 320
    own = [
        page.evaluate(BAR),
        page.evaluate(BAR.replace(".ranking .bar", "#history .spot").replace(", '::before'", "")),
    ]
    page.emulate_media(forced_colors="active")
    forced = [
        page.evaluate(BAR),
        page.evaluate(BAR.replace(".ranking .bar", "#history .spot").replace(", '::before'", "")),
    ]
    assert forced == own
    shot(page, "forced-colours")


def test_titles_from_right_to_left(page):
    name = "\u05e9\u05d9\u05e8 (live)"
    page.set_input_files(
        "#file", {"name": name, "mimeType": "audio/mpeg", "buffer": SONG.read_bytes()}
    )
    answered(page, name)
    for place in ("#answer .track", "#history .name"):
        direction = page.locator(place).evaluate("e => getComputedStyle(e).direction")
        assert direction == "rtl"
    assert page.title().endswith(f"\u2068{name}\u2069 · topgenre")


def test_the_history_follows_other_tabs_and_keeps_the_keyboard(page, context, site):
    page.set_input_files("#file", SONG)
    answered(page, "song.mp3")
    other = context.new_page()
    other.goto(site.url)
    entries = other.locator("#history-list button")
    entries.first.focus()
    page.set_input_files("#file", SONG)
    expect(entries).to_have_count(2)
    expect(entries.first).to_be_focused()
    page.click("#history-clear")
    expect(other.locator("#history")).to_be_hidden()
    assert other.evaluate("document.activeElement.id") == "main"
