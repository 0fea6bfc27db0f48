"""A track that changes genre: its parts, and how they are told."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from serve.cli import _TextPrinter
from serve.genre_parts import changes, parts

CLIP_S = 1.4
GENRES = ["jazz", "hiphop", "rock", "pop", "metal"]


def body(*stretches: tuple[str, float, float], music: float = 0.9) -> dict[str, Any]:
    """An answer whose clips are of these genres, for so many seconds each, and so sure."""
    labels = [(genre, sure) for genre, s, sure in stretches for _ in range(round(s / CLIP_S))]
    return {
        "results": dict.fromkeys(GENRES, 20.0),
        "music": music,
        "tags": [],
        "clip_s": CLIP_S,
        "duration_s": len(labels) * CLIP_S,
        "timeline": [
            {"start": n * CLIP_S, "genre": genre, "confidence": sure, "music": music}
            for n, (genre, sure) in enumerate(labels)
        ],
    }


CASES = {
    "two": (body(("jazz", 190, 0.8), ("hiphop", 120, 0.7)), "jazz until 3:10, then hiphop"),
    "strays do not count": (
        body(("jazz", 60, 0.8), ("pop", 4.2, 0.9), ("jazz", 60, 0.8), ("rock", 90, 0.6)),
        "jazz until 2:04, then rock",
    ),
    "back again": (
        body(("jazz", 63, 0.8), ("rock", 63, 0.8), ("jazz", 63, 0.8)),
        "jazz until 1:03, then rock until 2:06, then jazz",
    ),
    "often": (
        body(*[("jazz", 35, 0.8), ("rock", 35, 0.8)] * 3),
        "changes genre 5 times: jazz, rock",
    ),
    "one genre": (body(("jazz", 300, 0.9)), None),
    "a moment of another": (body(("jazz", 100, 0.8), ("rock", 7, 0.9), ("jazz", 100, 0.8)), None),
    "never sure": (body(("jazz", 100, 0.28), ("rock", 100, 0.28)), None),
    "each piece another": (body(*[("jazz", 1.4, 0.8), ("rock", 1.4, 0.8)] * 40), None),
    "no music": (body(("jazz", 100, 0.8), ("rock", 100, 0.8), music=0.2), None),
    "one clip": (body(("jazz", 1.4, 0.9)), None),
}


@pytest.mark.parametrize(("answer", "words"), CASES.values(), ids=CASES)
def test_changes_are_told(answer: dict[str, Any], words: str | None) -> None:
    assert changes(answer) == words


def test_parts_lie_side_by_side() -> None:
    found = parts(CASES["back again"][0])
    assert [part.genre for part in found] == ["jazz", "rock", "jazz"]
    assert [part.start for part in found[1:]] == [part.end for part in found[:-1]]
    assert found[0].start == 0
    assert found[-1].end == pytest.approx(189)


def test_an_answer_without_a_timeline_has_none() -> None:
    kept = {key: value for key, value in CASES["two"][0].items() if key != "timeline"}
    assert parts(kept) == []


def test_the_terminal_tells_of_changes() -> None:
    text = io.StringIO()
    out = Console(file=text, width=100)
    record = CASES["two"][0] | {
        "track": "a.mp3", "video_title": "A", "top_prediction": "jazz",
        "timings_ms": {"total": 9.0},
    }  # fmt: skip
    for in_full in (False, True):
        _TextPrinter(out, in_full=in_full)(record)
    assert text.getvalue().count("  jazz until 3:10, then hiphop\n") == 2


def test_the_terminal_tells_what_was_lost() -> None:
    text = io.StringIO()
    out = Console(file=text, width=100)
    record = CASES["two"][0] | {
        "track": "a.mp3", "video_title": "A", "top_prediction": "jazz",
        "timings_ms": {"total": 9.0}, "warnings": ["3.0 s of it could not be read."],
    }  # fmt: skip
    for in_full in (False, True):
        _TextPrinter(out, in_full=in_full)(record)
    assert text.getvalue().count("  3.0 s of it could not be read.\n") == 2
