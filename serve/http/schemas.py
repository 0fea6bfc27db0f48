"""The parts of requests and answers as JSON Schema, for the description of the API."""

from __future__ import annotations

from typing import Any, get_args

from serve.devices import Provider
from serve.errors import ERRORS
from serve.http.replies import EXTRAS

Json = dict[str, Any]


def object_(properties: Json, optional: tuple[str, ...] = (), **more: Any) -> Json:
    """An object whose properties are all required but for the `optional` ones."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required} | more


def text(description: str, **more: Any) -> Json:
    """A text."""
    return {"type": "string", "description": description} | more


def number(description: str, **more: Any) -> Json:
    """A number."""
    return {"type": "number", "description": description} | more


def integer(description: str, **more: Any) -> Json:
    """A whole number."""
    return {"type": "integer", "description": description} | more


def _names(description: str) -> Json:
    return {"type": "array", "description": description, "items": {"type": "string"}}


_SHARE = {"type": "number", "minimum": 0, "maximum": 100}
_REQUEST_ID = text("also in the header X-Request-ID")

_LINE = object_(
    {
        "index": integer("place in the request, or in the zip", minimum=0),
        "url": text("the link, as it was given"),
        "name": text("the file's name in the zip"),
    },
    optional=("url", "name"),
)


def ref(name: str, kind: str = "schemas") -> Json:
    """A reference to a component, by default to one of SCHEMAS."""
    return {"$ref": f"#/components/{kind}/{name}"}


def _object_of(description: str, values: Json | bool = True) -> Json:
    # Without the values clients are generated that take it for empty.
    return {"type": "object", "description": description, "additionalProperties": values}


def _confinement(of: str) -> Json:
    return {
        "description": f"what held the last of the {of}; null before the first",
        "oneOf": [ref("Confinement"), {"type": "null"}],
    }


#: By names that are nothing else in the languages that clients are generated in (`Error` is in
#: most, `Progress` in some).
SCHEMAS: Json = {
    "Answer": object_(
        {
            "video_title": text("the video's title, or the name of the file"),
            "top_prediction": text("the most likely genre"),
            "results": {
                "type": "object",
                "description": "every genre in percent, highest first; together 100",
                "additionalProperties": _SHARE,
            },
            "music": number(
                "how sure it is that this is music; below 0.5 it rather is not",
                minimum=0,
                maximum=1,
            ),
            "tags": {
                "type": "array",
                "description": "what it sounds like beyond its genre, most likely first: kinds of "
                "music or, where `music` is below 0.5, other sounds; at most five, and none from a "
                "model that knows none",
                "items": object_(
                    {
                        "tag": text("its name"),
                        "probability": number("of hearing it in a clip", minimum=0, maximum=1),
                    }
                ),
            },
            "duration_s": number("seconds of audio heard", minimum=0),
            "clip_s": number("seconds of one clip", exclusiveMinimum=0),
            "timeline": {
                "type": "array",
                "description": "the most likely genre of each clip",
                "items": object_(
                    {
                        "start": number("seconds from the beginning", minimum=0),
                        "genre": text("a genre of `results`"),
                        "confidence": number("its probability", minimum=0, maximum=1),
                        "music": number(
                            "how sure it is that the clip is music; below 0.5 it does not count in "
                            "`results`, unless no clip is music",
                            minimum=0,
                            maximum=1,
                        ),
                    }
                ),
            },
            "warnings": _names(
                "in words what of the track could not be read, or was assumed; mostly none"
            ),
            "model": object_(
                {
                    "name": text("the model's name"),
                    "version": text("its version"),
                    "sha256": text("the digest of its file", pattern="^[0-9a-f]{64}$"),
                }
            ),
            "provider": text("where the model ran", enum=sorted(get_args(Provider))),
            "timings_ms": {
                "type": "object",
                "description": "milliseconds of each stage; stages overlap",
                "additionalProperties": {"type": "number", "minimum": 0},
            },
            "cached": {"type": "boolean", "description": "whether it was known already"},
            "request_id": _REQUEST_ID,
            "clips": object_(
                {
                    "genres": _names("the order of the shares"),
                    "percent": {
                        "type": "array",
                        "description": "for each clip its genres' shares, in the order of `genres`",
                        "items": {"type": "array", "items": _SHARE},
                    },
                },
                description="with `include=clips`: all genres of each clip",
            ),
            "mel": object_(
                {
                    "columns": integer("columns, which divide the clips evenly", maximum=768),
                    "bands": integer("values in each column, the lowest band first", maximum=64),
                    "low_db": number("dB that 0 stands for, and all below"),
                    "high_db": number("dB that 255 stands for"),
                    "pixels": text(
                        "columns × bands bytes, column by column", contentEncoding="base64"
                    ),
                },
                description="with `include=mel`: a picture of the model's own spectrogram",
            ),
        },
        optional=("clips", "mel"),
    ),
    "Check": object_(
        {
            "id": text("the id of the video", pattern="^[0-9A-Za-z_-]{11}$"),
            "url": text("its plain address"),
        }
    ),
    "Confinement": object_(
        {
            "landlock": integer("its version; 0 where there is none"),
            "seccomp": {"type": "boolean", "description": "whether system calls are filtered"},
            "refused": _names("what was tried, and refused"),
            "limits": _object_of("limits of resources", {"type": "integer"}),
        },
        optional=("landlock", "seccomp", "refused", "limits"),
        description="what a process that meets strangers' bytes is held by, as measured in it",
    ),
    "Extra": text("what answers may also hold", enum=list(EXTRAS)),
    "Failure": object_(
        {
            "error": text("what went wrong, for a person"),
            "code": text("what went wrong, for a program", enum=sorted(ERRORS)),
            "retryable": {
                "type": "boolean",
                "description": "whether the same request may succeed later",
            },
            "retry_after_s": integer("seconds until then, where they are known", minimum=1),
            "request_id": _REQUEST_ID,
        },
        optional=("retry_after_s",),
    ),
    "AnsweredLine": {"allOf": [_LINE, ref("Answer")]},
    "FailedLine": {"allOf": [_LINE, ref("Failure")]},
    "Line": {
        "description": "a line of a batch's answer: which track, and its answer or its failure",
        "oneOf": [ref("AnsweredLine"), ref("FailedLine")],
    },
    "TrackProgress": object_(
        {
            "stage": text(
                "how far it is",
                enum=["accepted", "found", "downloading", "listening", "classifying"],
            ),
            "fraction": {
                "type": ["number", "null"],
                "minimum": 0,
                "maximum": 1,
                "description": "how much of the stage is done, where that can be told",
            },
            "seconds": number("seconds since the request", minimum=0),
            "video_title": text("with the stage `found`"),
            "duration_s": {"type": ["number", "null"], "description": "with the stage `found`"},
        },
        optional=("video_title", "duration_s"),
    ),
    "Status": object_({"status": text("live or ready")}),
    "Info": object_(
        {
            "model": _object_of("what the model file says of itself"),
            "genres": _names("the genres of `results`"),
            "tags": _names("kinds of music that `tags` may name"),
            "sounds": _names("what `tags` may name of what is not music"),
            "front_end": _object_of("the parameters of the features"),
            "clip_s": number("seconds of one clip"),
            "provider": text("where the model runs", enum=sorted(get_args(Provider))),
            "limits": _object_of("of what is taken", {"type": "number"}),
            "sandbox": object_(
                {name: _confinement(name) for name in ("decoders", "downloaders")},
            ),
            "versions": _object_of("of Python and of packages", {"type": "string"}),
        }
    ),
}
