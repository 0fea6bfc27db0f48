"""The description of the API, in OpenAPI 3.1."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any

from serve.errors import ERRORS

Json = dict[str, Any]

_EXAMPLE_ANSWER: Json = {
    "video_title": "song.mp3",
    "top_prediction": "jazz",
    "results": {"jazz": 81.2, "blues": 18.8},
    "duration_s": 3.0,
    "clip_s": 1.4,
    "timeline": [
        {"start": 0.0, "genre": "jazz", "confidence": 0.9012},
        {"start": 1.4, "genre": "jazz", "confidence": 0.7228},
    ],
    "model": {"name": "topgenre", "version": "1", "sha256": "0" * 64},
    "provider": "cpu",
    "timings_ms": {"open": 0.1, "decode": 8.2, "mel": 1.1, "inference": 1.9, "total": 12.0},
    "cached": False,
    "request_id": "5f0c2a4d8e3b4b6f9a1d7c2e8f3a6b1c",
}


def _object(properties: Json, optional: tuple[str, ...] = (), **more: Any) -> Json:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required} | more


def _text(description: str, **more: Any) -> Json:
    return {"type": "string", "description": description} | more


def _number(description: str, **more: Any) -> Json:
    return {"type": "number", "description": description} | more


_SHARE = {"type": "number", "minimum": 0, "maximum": 100}
_REQUEST_ID = _text("also in the header X-Request-ID")

_SCHEMAS: Json = {
    "Answer": _object(
        {
            "video_title": _text("the video's title, or the name of the file"),
            "top_prediction": _text("the most likely genre"),
            "results": {
                "type": "object",
                "description": "every genre in percent, highest first; together 100",
                "additionalProperties": _SHARE,
            },
            "duration_s": _number("seconds of audio heard", minimum=0),
            "clip_s": _number("seconds of one clip", exclusiveMinimum=0),
            "timeline": {
                "type": "array",
                "description": "the most likely genre of each clip",
                "items": _object(
                    {
                        "start": _number("seconds from the beginning", minimum=0),
                        "genre": _text("a genre of `results`"),
                        "confidence": _number("its probability", minimum=0, maximum=1),
                    }
                ),
            },
            "model": _object(
                {
                    "name": _text("the model's name"),
                    "version": _text("its version"),
                    "sha256": _text("the digest of its file", pattern="^[0-9a-f]{64}$"),
                }
            ),
            "provider": _text("where the model ran", enum=["cpu", "cuda"]),
            "timings_ms": {
                "type": "object",
                "description": "milliseconds of each stage; stages overlap",
                "additionalProperties": {"type": "number", "minimum": 0},
            },
            "cached": {"type": "boolean", "description": "whether it was known already"},
            "request_id": _REQUEST_ID,
        }
    ),
    "Error": _object(
        {
            "error": _text("what went wrong, for a person"),
            "code": _text("what went wrong, for a program", enum=sorted(ERRORS)),
            "retryable": {
                "type": "boolean",
                "description": "whether the same request may succeed later",
            },
            "request_id": _REQUEST_ID,
        }
    ),
    "Progress": _object(
        {
            "stage": _text(
                "how far it is",
                enum=["accepted", "found", "downloading", "listening", "classifying"],
            ),
            "fraction": {
                "type": ["number", "null"],
                "minimum": 0,
                "maximum": 1,
                "description": "how much of the stage is done, where that can be told",
            },
            "seconds": _number("seconds since the request", minimum=0),
            "video_title": _text("with the stage `found`"),
            "duration_s": {"type": ["number", "null"], "description": "with the stage `found`"},
        },
        optional=("video_title", "duration_s"),
    ),
    "Status": _object({"status": _text("live or ready")}),
    "Info": _object(
        {
            "model": {"type": "object", "description": "what the model file says of itself"},
            "genres": {"type": "array", "items": {"type": "string"}},
            "front_end": {"type": "object", "description": "the parameters of the features"},
            "clip_s": _number("seconds of one clip"),
            "provider": _text("where the model runs", enum=["cpu", "cuda"]),
            "limits": {"type": "object", "additionalProperties": {"type": "number"}},
            "versions": {"type": "object", "additionalProperties": {"type": "string"}},
        }
    ),
}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(name: str, description: str, **more: Any) -> Json:
    return {
        "description": description,
        "content": {"application/json": {"schema": _ref(name)} | more},
    }


def _errors(*statuses: int) -> Json:
    """An entry for each status, which names the codes that come with it."""
    found: Json = {}
    for status in statuses:
        codes = sorted(code for code, error in ERRORS.items() if error.status == status)
        entry = _json("Error", ", ".join(f"`{code}`" for code in codes))
        if status == 429:
            entry["headers"] = {
                "Retry-After": {"schema": {"type": "integer"}, "description": "seconds to wait"}
            }
        found[str(status)] = entry
    return found


def _predict() -> Json:
    statuses = sorted({error.status for error in ERRORS.values()} - {405})
    file = {"type": "string", "contentMediaType": "application/octet-stream"}
    raw = {"schema": {"type": "string", "format": "binary"}}
    answer = _json("Answer", "the genres of the track", example=_EXAMPLE_ANSWER)
    answer["content"]["text/event-stream"] = {
        "schema": {
            "type": "string",
            "description": "with `Accept: text/event-stream`: events named `progress` (Progress), "
            "then one `result` (Answer) or `error` (Error), each with JSON as its data",
        }
    }
    return {
        "post": {
            "operationId": "predict",
            "summary": "The genre of a YouTube video or of an audio file",
            "parameters": [
                {
                    "name": "X-Filename",
                    "in": "header",
                    "required": False,
                    "description": "for a raw body: its name, percent-encoded",
                    "schema": {"type": "string"},
                }
            ],
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": _object({"url": _text("a link to one YouTube video")}),
                        "example": {"url": "https://www.youtube.com/watch?v=dQw4w9WgXcQ"},
                    },
                    "multipart/form-data": {"schema": _object({"file": file})},
                    "application/octet-stream": raw,
                    "audio/*": raw,
                    "video/*": raw,
                },
            },
            "responses": {"200": answer} | _errors(*statuses),
        }
    }


def _get(operation: str, summary: str, responses: Json) -> Json:
    return {"get": {"operationId": operation, "summary": summary, "responses": responses}}


@cache
def describe() -> Json:
    """The whole description, as a JSON document."""
    text = {"schema": {"type": "string"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "topgenre",
            "version": version("topgenre"),
            "description": "Which genre is this music?",
        },
        "paths": {
            "/predict": _predict(),
            "/health/live": _get(
                "live", "The process answers", {"200": _json("Status", "it does")}
            ),
            "/health/ready": _get(
                "ready",
                "Tracks are taken",
                {"200": _json("Status", "they are"), "503": _json("Error", "`not_ready`")},
            ),
            "/info": _get("info", "The model and the limits", {"200": _json("Info", "all of it")}),
            "/metrics": _get(
                "metrics",
                "Counts and measures for Prometheus",
                {"200": {"description": "text format 0.0.4", "content": {"text/plain": text}}},
            ),
            "/openapi.json": _get(
                "openapi",
                "This document",
                {
                    "200": {
                        "description": "OpenAPI 3.1",
                        "content": {"application/json": {"schema": {"type": "object"}}},
                    }
                },
            ),
        },
        "components": {"schemas": _SCHEMAS},
    }
