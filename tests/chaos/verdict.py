"""What an answer says, and what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from serve.errors import ERRORS
from tests.chaos.asks import LEFT_ALONE, Ask
from tests.chaos.media import Answer

#: Not a code of the server: there was no answer, or only part of one.
UNANSWERED = "unanswered"
# Of percentages: tracks that share a call of the model may differ in the last bits.
_TOLERANCE = 0.02


@dataclass(frozen=True, slots=True)
class Verdict:
    """The code of an answer ("ok" is one), and what is wrong with it in words."""

    code: str
    problems: tuple[str, ...] = ()
    request_id: str = ""


def judge(
    ask: Ask,
    references: Mapping[str, Answer],
    text: str,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Verdict:
    """Look at one answer; `status` and `headers` are None where it is an event or a line."""
    try:
        body: Any = json.loads(text)
        request_id = body["request_id"]
        code = "ok" if "top_prediction" in body else body["code"]
    except (ValueError, KeyError, TypeError):
        return Verdict(UNANSWERED, (f"status {status} with {text[:100]!r}",))
    wrong = _wrong_answer if code == "ok" else _wrong_error
    problems = list(wrong(ask, references, body))
    expected = 200 if code == "ok" else getattr(ERRORS.get(code), "status", None)
    if status not in (None, expected):
        problems.append(f"{code} came with status {status}")
    # A bot check that was not this video's is a breaker's.
    later = code == "overloaded" or code in LEFT_ALONE - ask.codes
    if later and headers is not None and "Retry-After" not in headers:
        problems.append(f"{code} without Retry-After")
    return Verdict(code, tuple(problems), request_id)


def _wrong_answer(ask: Ask, references: Mapping[str, Answer], body: Answer) -> Iterator[str]:
    if ask.track is None:
        return
    right = references[ask.track]
    for genre, percent in right["results"].items():
        if abs(body["results"].get(genre, -1.0) - percent) > _TOLERANCE:
            yield f"{ask.track}: {genre} is {body['results'].get(genre)}, should be {percent}"
    if _timeline(body) != _timeline(right):
        yield f"{ask.track}: another timeline"


def _wrong_error(_: Ask, __: Mapping[str, Answer], body: Answer) -> Iterator[str]:
    if body["code"] not in ERRORS:
        yield f"there is no code {body['code']}"
    if not body.get("error"):
        yield "an error without words"


def _timeline(body: Answer) -> list[tuple[float, str]]:
    return [(clip["start"], clip["genre"]) for clip in body["timeline"]]
