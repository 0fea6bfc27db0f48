"""What the pipeline tells of a track: how far it is, and in the end its genres."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from serve.audio.picture import MelPicture
from serve.errors import Origin, TopgenreError
from serve.inference.aggregate import Verdict
from serve.inference.outputs import IS_MUSIC

# Less than this is lost at the ends of many files, and nobody hears it.
_LEAST_LOST_S = 0.1

Stage = Literal["accepted", "found", "downloading", "listening", "classifying"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a track is: its stage, the fraction of it (None where that can't be told).

    `seconds` have passed since the request; `title` and `duration_s` are there once known.
    `waits_for` says who keeps the track waiting.
    """

    stage: Stage
    fraction: float | None
    seconds: float = 0.0
    title: str | None = None
    duration_s: float | None = None
    waits_for: Origin = "server"


@dataclass(frozen=True, slots=True)
class Answer:
    """The genres of a track and of its clips.

    `timings_ms` holds the milliseconds of each stage, `warnings` in words what of the track was
    lost, or assumed.
    """

    title: str
    verdict: Verdict
    picture: MelPicture
    duration_s: float
    clip_s: float
    timings_ms: dict[str, float]
    warnings: tuple[str, ...] = ()
    #: whether it was known already
    cached: bool = False


def not_music(body: Mapping[str, Any]) -> str | None:
    """In words what an answer's body is of, if it is rather not of music; else None."""
    if body["music"] >= IS_MUSIC:
        return None
    if not body["tags"]:
        return "This does not sound like music."
    return f"This sounds like {body['tags'][0]['tag'].lower()}, not music."


def warnings_of(lost_s: float, heard_s: float, cancelled: bool) -> tuple[str, ...]:
    """In words what of a track was lost, and whether its channels cancel each other."""
    lost = (
        f"{lost_s:.1f} s of the audio could not be read: this is about the other {heard_s:.1f} s."
    )
    apart = "The two channels cancel each other out, so their difference was heard."
    return (lost,) * (lost_s >= _LEAST_LOST_S) + (apart,) * cancelled


OnProgress = Callable[[Progress], None]
#: a track's way, which tells how far it is
Work = Callable[[OnProgress], Awaitable[Answer]]
#: how a track's way ends
Outcome = Answer | TopgenreError
