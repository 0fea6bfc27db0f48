"""A track that changes genre says so on the page, as `serve.genre_parts` has it."""

from __future__ import annotations

import json
import re

from playwright.sync_api import Page, expect

from serve.genre_parts import parts
from tests.test_genre_parts import CASES, GENRES
from tests.web.conftest import module, shot

REMEMBER = """answer => {
  localStorage.setItem("topgenre.history", JSON.stringify([{ answer }]));
}"""


def shown(page: Page, case: str, **more: object) -> None:
    """The answer of a case, opened from the history."""
    body = CASES[case][0]
    percent = [
        [100 * clip["confidence"] * (genre == clip["genre"]) for genre in GENRES]
        for clip in body["timeline"]
    ]
    answer = body | {
        "video_title": "A night out", "top_prediction": "jazz", "request_id": "1", "cached": False,
        "clips": {"genres": GENRES, "percent": percent}, "timings_ms": {"total": 9.0},
    } | more  # fmt: skip
    page.evaluate(REMEMBER, answer)
    page.reload()
    page.locator("#history-list button").click()
    expect(page.locator("#answer .u-over")).to_have_count(1)


def test_a_mix_says_that_it_changes(page: Page) -> None:
    shown(page, "two", warnings=["3 s of it could not be read."])
    expect(page.locator("#answer h2")).to_have_text("jazz, then hiphop")
    expect(page.locator(".sentence")).to_have_text("It changes: jazz until 3:10, then hiphop.")
    expect(page.locator(".note").first).to_have_text("3 s of it could not be read.")
    expect(page.locator("#answer")).not_to_contain_text("Nothing stands out")
    expect(page.locator("#history-list")).to_contain_text("jazz, then hiphop")
    assert page.title().startswith("jazz, then hiphop · A night out")
    page.get_by_text("As a list").click()
    expect(page.locator(".stretches li")).to_have_text(["0:00 to 3:10jazz", "3:10 to 5:10hiphop"])
    shot(page, "mix")
    shown(page, "often")
    expect(page.locator("#answer h2")).to_have_text("a mix")
    expect(page.locator(".sentence")).to_contain_text("changes genre 5 times: jazz, rock.")


def test_pieces_that_are_sure_are_not_said_to_be_unsure(page: Page) -> None:
    shown(page, "each piece another")
    expect(page.locator(".sentence")).to_have_text(re.compile("^Not sure"))
    expect(page.locator(".note").first).to_have_text(re.compile("pieces are sure"))


def test_the_page_finds_the_parts_that_the_terminal_does(page: Page) -> None:
    bodies = [body for body, _ in CASES.values()]
    found = page.evaluate(
        """async ([module, bodies]) => {
          const { parts } = await import(module);
          return JSON.parse(bodies).map(body => parts(body).map(part => [part.genre, part.from]));
        }""",
        [module(page, "parts.js"), json.dumps(bodies)],
    )
    clips = [[[part.genre, round(part.start / 1.4)] for part in parts(body)] for body in bodies]
    assert found == clips
