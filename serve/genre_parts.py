"""The parts of a track that changes genre, as a mix does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from math import log
from typing import Any, NamedTuple

from serve.inference.outputs import IS_MUSIC

# How much better, in nats, another genre has to explain a stretch for the track to have changed to
# it: some ten seconds of clips that are sure of it. Of 120 tracks of one genre, none changes.
_CHANGE = 16.0
# No clip is believed more than this against another genre.
_LEAST_SHARE = 0.05
# A part is sure from this mean share of its genre on, and so much of the track has to be sure.
_SURE = 0.3
_SURE_TIME = 0.75
# Parts that are told one by one.
_TOLD = 4


class GenrePart(NamedTuple):
    """A stretch of a track: its genre, where it begins and ends in seconds, and whether sure."""

    genre: str
    start: float
    end: float
    sure: bool


def parts(body: Mapping[str, Any]) -> list[GenrePart]:
    """The parts of the track of an answer's body, in order; none where it does not surely change.

    They are the likeliest sequence of genres that changes rarely (Viterbi's), given what each clip
    says. The page computes the same in `parts.js`.
    """
    timeline, others = body.get("timeline", ()), max(1, len(body["results"]) - 1)
    if not timeline or not_music(body):
        return []
    genres = {clip["genre"]: None for clip in timeline}
    rows = [{genre: _share(clip, genre, others) for genre in genres} for clip in timeline]
    found = _joined(body, rows, _likeliest(rows, [clip["music"] for clip in timeline]))
    sure = [part for part in found if part.sure]
    time = sum(part.end - part.start for part in sure)
    changes = len({part.genre for part in sure}) > 1
    return found if changes and time >= _SURE_TIME * found[-1].end else []


def not_music(body: Mapping[str, Any]) -> str | None:
    """In words what an answer's body is of, if it is rather not of music; else None."""
    if body["music"] >= IS_MUSIC:
        return None
    if not body["tags"]:
        return "This does not sound like music."
    return f"This sounds like {body['tags'][0]['tag'].lower()}, not music."


def changes(body: Mapping[str, Any]) -> str | None:
    """How a track changes genre, as in `jazz until 3:10, then hiphop`; None if it does not."""
    found = parts(body)
    if not found:
        return None
    if len(found) > _TOLD:
        genres = ", ".join(dict.fromkeys(part.genre for part in found))
        return f"changes genre {len(found) - 1} times: {genres}"
    told = [f"{part.genre} until {_clock(part.end)}" for part in found[:-1]]
    return ", then ".join([*told, found[-1].genre])


def _joined(
    body: Mapping[str, Any], rows: Sequence[Mapping[str, float]], path: Sequence[str]
) -> list[GenrePart]:
    found, end = [], 0
    for genre, run in groupby(path):
        start, end = end, end + len(list(run))
        sure = sum(row[genre] for row in rows[start:end]) >= _SURE * (end - start)
        end_s = min(end * body["clip_s"], body["duration_s"])
        found.append(GenrePart(genre, start * body["clip_s"], end_s, sure))
    return found


def _share(clip: Mapping[str, Any], genre: str, others: int) -> float:
    sure: float = clip["confidence"]
    return sure if clip["genre"] == genre else (1 - sure) / others


def _likeliest(rows: Sequence[Mapping[str, float]], weights: Sequence[float]) -> list[str]:
    # By genre: the best way to the clip that ends with it, and the genre before on that way.
    best = dict.fromkeys(rows[0], 0.0)
    before: list[dict[str, str]] = []
    for row, weight in zip(rows, weights, strict=True):
        lead = max(best, key=lambda genre: best[genre])
        changed = best[lead] - _CHANGE
        before.append({g: g if best[g] >= changed else lead for g in row})
        best = {g: max(best[g], changed) + weight * log(max(_LEAST_SHARE, row[g])) for g in row}
    path = [max(best, key=lambda genre: best[genre])]
    for came in before[:0:-1]:
        path.append(came[path[-1]])
    return path[::-1]


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds + 1e-6), 60)
    return f"{minutes}:{rest:02}"
