"""The answer for a track, what goes wrong in its place, and what is told on the way.

These are the one definition: HTTP's bodies and their description, events, the cache, replicas,
notebooks and libraries derive from them. Fields are in the order in which they are sent.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter
from pydantic.json_schema import SkipJsonSchema

from serve.devices import Provider
from serve.errors import ERRORS, Origin, TopgenreError

#: A picture's largest size, whatever the track's length and the front end's bands.
MAX_COLUMNS, MAX_BANDS = 768, 64
# Less than this is lost at the ends of many files, and nobody hears it.
_LEAST_LOST_S = 0.1

Stage = Literal["accepted", "found", "downloading", "listening", "classifying"]
#: What an answer holds only where it is asked for.
Extra = Literal["clips", "mel"]

# What may be None is left out then.
Percent = Annotated[float, Field(ge=0, le=100)]
Probability = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]
RequestId = Annotated[
    str | SkipJsonSchema[None], Field(description="also in the header X-Request-ID")
]


@dataclass(frozen=True, slots=True)
class Tag:
    """Something that a track sounds like."""

    tag: Annotated[str, Field(description="its name")]
    probability: Annotated[Probability, Field(description="of hearing it in a clip")]


@dataclass(frozen=True, slots=True)
class Clip:
    """The most likely genre of one clip."""

    start: Annotated[Seconds, Field(description="seconds from the beginning")]
    genre: Annotated[str, Field(description="a genre of `results`")]
    confidence: Annotated[Probability, Field(description="its probability")]
    music: Annotated[
        Probability,
        Field(
            description="how sure it is that the clip is music; below 0.5 it does not count in "
            "`results`, unless no clip is music"
        ),
    ]


@dataclass(frozen=True, slots=True)
class Model:
    """Which model has answered."""

    name: Annotated[str, Field(description="the model's name")]
    version: Annotated[str, Field(description="its version")]
    sha256: Annotated[str, Field(description="the digest of its file", pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True)
class Shares:
    """All genres of each clip."""

    genres: Annotated[tuple[str, ...], Field(description="the order of the shares")]
    percent: Annotated[
        tuple[tuple[Percent, ...], ...],
        Field(description="for each clip its genres' shares, in the order of `genres`"),
    ]


@dataclass(frozen=True, slots=True)
class MelPicture:
    """A picture of the model's own spectrogram: mel power in dB as grey values."""

    columns: Annotated[
        int, Field(description="columns, which divide the clips evenly", le=MAX_COLUMNS)
    ]
    bands: Annotated[
        int, Field(description="values in each column, the lowest band first", le=MAX_BANDS)
    ]
    low_db: Annotated[float, Field(description="dB that 0 stands for, and all below")]
    high_db: Annotated[float, Field(description="dB that 255 stands for")]
    pixels: Annotated[
        str,
        Field(
            description="columns × bands bytes, column by column",
            json_schema_extra={"contentEncoding": "base64"},
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The genres of a track and of its clips."""

    video_title: Annotated[str, Field(description="the video's title, or the name of the file")]
    top_prediction: Annotated[str, Field(description="the most likely genre")]
    results: Annotated[
        dict[str, Percent],
        Field(description="every genre in percent, highest first; together 100"),
    ]
    music: Annotated[
        Probability,
        Field(description="how sure it is that this is music; below 0.5 it rather is not"),
    ]
    tags: Annotated[
        tuple[Tag, ...],
        Field(
            description="what it sounds like beyond its genre, most likely first: kinds of music "
            "or, where `music` is below 0.5, other sounds; at most five, and none from a model "
            "that knows none"
        ),
    ]
    duration_s: Annotated[Seconds, Field(description="seconds of audio heard")]
    clip_s: Annotated[float, Field(description="seconds of one clip", gt=0)]
    timeline: Annotated[tuple[Clip, ...], Field(description="the most likely genre of each clip")]
    warnings: Annotated[
        tuple[str, ...],
        Field(
            description="in words what of the track could not be read, or was assumed; mostly none"
        ),
    ]
    model: Model
    provider: Annotated[Provider, Field(description="where the model ran")]
    timings_ms: Annotated[
        dict[str, Annotated[float, Field(ge=0)]],
        Field(description="milliseconds of each stage; stages overlap"),
    ]
    cached: Annotated[bool, Field(description="whether it was known already")] = False
    clips: Annotated[
        Shares | SkipJsonSchema[None],
        Field(description="with `include=clips`: all genres of each clip"),
    ] = None
    mel: Annotated[
        MelPicture | SkipJsonSchema[None],
        Field(description="with `include=mel`: a picture of the model's own spectrogram"),
    ] = None
    request_id: RequestId = None

    def body(self, include: frozenset[str] = frozenset()) -> dict[str, Any]:
        """It as an object of JSON, without those of `Extra` that are not named."""
        body: dict[str, Any] = answer_type().dump_python(self._sent(include), exclude_none=True)
        return body

    def json(self, include: frozenset[str], request_id: str) -> bytes:
        """The body as it is sent."""
        return answer_type().dump_json(self._sent(include, request_id), exclude_none=True)

    def _sent(self, include: frozenset[str], request_id: str | None = None) -> Answer:
        return replace(
            self,
            clips=self.clips if "clips" in include else None,
            mel=self.mel if "mel" in include else None,
            request_id=request_id,
        )


@cache
def answer_type() -> TypeAdapter[Answer]:
    """How an answer is written as JSON and read; made once, as that takes its time."""
    return TypeAdapter(Answer)


#: One with all that it may hold.
EXAMPLE = Answer(
    video_title="song.mp3",
    top_prediction="jazz",
    results={"jazz": 81.2, "blues": 18.8},
    music=0.9785,
    tags=(Tag("Swing music", 0.3127),),
    duration_s=3.0,
    clip_s=1.4,
    timeline=(Clip(0.0, "jazz", 0.9012, 0.9921), Clip(1.4, "jazz", 0.7228, 0.9649)),
    warnings=(),
    model=Model("topgenre", "1", "0b8f4f7c5d1e2a39" * 4),
    provider="cpu",
    timings_ms={"open": 0.1, "decode": 8.2, "mel": 1.1, "inference": 1.9, "total": 12.0},
    clips=Shares(("blues", "jazz"), ((9.9, 90.1), (27.7, 72.3))),
    mel=MelPicture(2, 3, -95.5, -15.5, "AEB//5MK"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What is said of a failure."""

    error: Annotated[str, Field(description="what went wrong, for a person")]
    code: Annotated[
        str,
        Field(
            description="what went wrong, for a program",
            json_schema_extra={"enum": [*sorted(ERRORS)]},
        ),
    ]
    retryable: Annotated[bool, Field(description="whether the same request may succeed later")]
    retry_after_s: Annotated[
        Annotated[int, Field(ge=1)] | SkipJsonSchema[None],
        Field(description="seconds until then, where they are known"),
    ] = None
    request_id: RequestId = None

    @classmethod
    def of(cls, error: TopgenreError, request_id: str | None = None) -> Failure:
        """What is said of this one."""
        wait_s = error.retry_after_s
        return cls(
            error=error.message,
            code=error.code,
            retryable=error.retryable,
            retry_after_s=None if wait_s is None else math.ceil(wait_s),
            request_id=request_id,
        )

    def body(self) -> dict[str, Any]:
        """It as an object of JSON."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a track is."""

    stage: Annotated[Stage, Field(description="how far it is")]
    fraction: Annotated[
        Probability | None,
        Field(description="how much of the stage is done, where that can be told"),
    ]
    seconds: Annotated[Seconds, Field(description="seconds since the request")] = 0.0
    video_title: Annotated[
        str | SkipJsonSchema[None], Field(description="with the stage `found`")
    ] = None
    duration_s: Annotated[float | None, Field(description="with the stage `found`")] = None
    #: who keeps the track waiting
    waits_for: Annotated[Origin, Field(exclude=True)] = "server"

    def body(self) -> dict[str, Any]:
        """It as an object of JSON: whom it waits for stays here."""
        body = {"stage": self.stage, "fraction": self.fraction, "seconds": self.seconds}
        if self.video_title is None:
            return body
        return body | {"video_title": self.video_title, "duration_s": self.duration_s}


OnProgress = Callable[[Progress], None]
#: a track's way, which tells how far it is
Work = Callable[[OnProgress], Awaitable[Answer]]
#: how a track's way ends
Outcome = Answer | TopgenreError


def warnings_of(lost_s: float, heard_s: float, cancelled_s: float) -> tuple[str, ...]:
    """In words what of a track was lost, and for how long its channels cancel each other."""
    lost = (
        f"{lost_s:.1f} s of the audio could not be read: this is about the other {heard_s:.1f} s."
    )
    partly = f" for {cancelled_s:.1f} s" if cancelled_s < heard_s - _LEAST_LOST_S else ""
    apart = f"The channels cancel each other out{partly}: what they differ in was heard there."
    return (lost,) * (lost_s >= _LEAST_LOST_S) + (apart,) * (cancelled_s > 0)
