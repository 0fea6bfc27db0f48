"""The description of the API, in OpenAPI 3.1."""

from __future__ import annotations

import json
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

from pydantic_core import to_json

from serve.answer import EXAMPLE, Extra, Failure
from serve.errors import ERRORS
from serve.http.api.schemas import Json, ref, schemas
from serve.http.bodies import CHECK, INFO, Status
from serve.http.rates import RATE_HEADERS

_REQUEST_ID = "5f0c2a4d8e3b4b6f9a1d7c2e8f3a6b1c"
_TEXTS: dict[str, str] = dict(
    part.strip().split("\n\n", 1)
    for part in (Path(__file__).parent / "texts.md").read_text("utf-8").split("\n## ")[1:]
)
# Errors that any request may get; then those of requests that may need a key.
_ANYWHERE = ("bad_request", "internal")
_WITH_KEY = (*_ANYWHERE, "unauthorized")
_TRACK = tuple(code for code in ERRORS if code != "method_not_allowed")
_LINK = tuple(code for code in _TRACK if code != "unsupported_media")
_OF_BATCH = ("too_big", "unsupported_media", "overloaded", "too_many_requests", "timeout")
_BATCH = (*_WITH_KEY, *_OF_BATCH)
_BINARY: Json = {"type": "string", "format": "binary"}


def _answer(*include: str) -> Json:
    found: Json = json.loads(EXAMPLE.json(frozenset(include), _REQUEST_ID))
    return found


def _failure(code: str) -> Json:
    return Failure.of(ERRORS[code](), _REQUEST_ID).body()


def _response(description: str, kind: str, media: Json, *headers: str) -> Json:
    named = {name: ref(name, "headers") for name in ("X-Request-ID", *headers)}
    return {"description": description, "headers": named, "content": {kind: media}}


def _ok(name: str, description: str, example: object) -> Json:
    media = {"schema": ref(name), "example": example}
    return _response(description, "application/json", media)


def _errors(codes: tuple[str, ...]) -> Json:
    """A response for each status of these errors, with an example of each error."""
    found: Json = {}
    for status in sorted({ERRORS[code].status for code in codes}):
        kinds = [ERRORS[code] for code in sorted(set(codes)) if ERRORS[code].status == status]
        shown = {kind.code: {"value": _failure(kind.code)} for kind in kinds}
        headers = {401: ("WWW-Authenticate",), 429: ("Retry-After", *RATE_HEADERS)}
        if any(kind.retryable for kind in kinds):
            headers.setdefault(status, ("Retry-After",))
        found[str(status)] = _response(
            ", ".join(f"`{kind.code}`" for kind in kinds),
            "application/json",
            {"schema": ref("Failure"), "examples": shown},
            *headers.get(status, ()),
        )
    return found


def _operation(name: str, ok: Json, *codes: str, **more: Any) -> Json:
    """The operation of one method at one path; those for tracks have parameters."""
    summary, _, text = _TEXTS[name].partition("\n\n")
    what = {"operationId": name, "tags": ["tracks" if more else "server"], "summary": summary}
    what |= {"description": text} if text else {}
    if "unauthorized" in codes:
        more["security"] = [{}, {"bearer": []}, {"key": []}]
    return what | {"responses": {"200": ok} | _errors(codes)} | more


def _parameter(name: str, where: str, schema: Json, **more: Any) -> Json:
    about = {"name": name, "in": where, "description": _TEXTS[name], "schema": schema}
    return {"required": False} | about | more


def _body(name: str, schema: Json, example: object) -> Json:
    """A request body: JSON, a form, or the file's bytes."""
    whole, file = (
        {"schema": {"type": "object", "properties": {of: kind}, "required": [of]}}
        for of, kind in ((name, schema), ("file", _BINARY))
    )
    content = {
        "application/json": whole | {"example": {name: example}},
        "multipart/form-data": file,
        "application/octet-stream": {"schema": _BINARY},
    }
    return {"required": True, "content": content}


def _tracks() -> Json:
    text: Json = {"type": "string"}
    about = {"description": _TEXTS["url"]}
    url = _parameter("url", "query", text, required=True, example=CHECK.url)
    extras = {"type": "array", "items": ref("Extra")}
    include = _parameter("include", "query", extras, style="form", explode=False)
    name = _parameter("X-Filename", "header", text, example="song.mp3")
    extra = get_args(Extra)
    shown: Json = {"plain": _answer(), f"include={','.join(extra)}": _answer(*extra)}
    examples = {of: {"value": value} for of, value in shown.items()}
    media: Json = {"schema": ref("Answer"), "examples": examples}
    answer = _response("the genres of the track", "application/json", media, *RATE_HEADERS)
    vimeo: Json = {"index": 1, "url": "https://vimeo.com/1"}
    link: Json = {"index": 0, "url": CHECK.url}
    lines = (vimeo | _failure("not_youtube"), link | _answer())
    media = {
        "schema": text | {"description": "lines of JSON, each a Line"},
        "example": "".join(json.dumps(line) + "\n" for line in lines),
    }
    told = "a line for each track, whether it could be answered or not"
    answers = _response(told, "application/x-ndjson", media, *RATE_HEADERS)
    links = {"type": "array", "items": text, "minItems": 1}
    post, get = {"parameters": [include, name]}, {"parameters": [url, include]}
    body = _body("url", text | about, CHECK.url)
    batch = _body("urls", links, [CHECK.url, vimeo["url"]])
    check = (
        _ok("Check", "The link would be accepted", CHECK),
        *_WITH_KEY,
        "bad_url",
        "not_youtube",
        "playlist",
    )
    return {
        "/predict": {
            "get": _operation("predict_link", answer, *_LINK, **get),
            "post": _operation("predict", answer, *_TRACK, **post, requestBody=body),
        },
        "/predict/batch": {
            "post": _operation(
                *("predict_batch", answers, *_BATCH), parameters=[include], requestBody=batch
            )
        },
        "/check": {"get": _operation("check", *check, parameters=[url])},
    }


def _server() -> Json:
    live, ready = (_ok("Status", "Yes", Status(of)) for of in ("live", "ready"))
    text = {
        "schema": {"type": "string"},
        "example": "# TYPE topgenre_ready gauge\ntopgenre_ready 1.0\n",
    }
    whole = {"schema": {"type": "object", "additionalProperties": True}}
    document = _response("OpenAPI 3.1", "application/json", whole)
    metrics = _response("text format 0.0.4", "text/plain", text)
    found = {
        "/health/live": _operation("live", live, "internal"),
        "/health/ready": _operation("ready", ready, "internal", "not_ready", "shutting_down"),
        "/info": _operation(
            "info", _ok("Info", "The model, limits and versions", INFO), *_ANYWHERE
        ),
        "/metrics": _operation("metrics", metrics, *_WITH_KEY),
        "/openapi.json": _operation("openapi", document, *_ANYWHERE),
    }
    return {path: {"get": what} for path, what in found.items()}


def _headers() -> Json:
    kinds = dict.fromkeys(("Retry-After", *RATE_HEADERS), "integer")
    kinds |= dict.fromkeys(("X-Request-ID", "WWW-Authenticate"), "string")
    return {of: {"description": _TEXTS[of], "schema": {"type": kinds[of]}} for of in kinds}


@cache
def describe() -> Json:
    """The whole description, as a JSON document."""
    info = {"title": "topgenre", "version": version("topgenre"), "description": _TEXTS["about"]}
    tags = {"tracks": "Tracks in, genres out", "server": "The server itself"}
    about = "an API key, where the server asks for one"
    keys = {
        "bearer": {"type": "http", "scheme": "bearer", "description": about},
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    whole = {
        "openapi": "3.1.0",
        "info": info,
        "tags": [{"name": name, "description": about} for name, about in tags.items()],
        "paths": _tracks() | _server(),
        "components": {"schemas": schemas(), "headers": _headers(), "securitySchemes": keys},
    }
    document: Json = json.loads(to_json(whole))
    return document
