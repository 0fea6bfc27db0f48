"""What is asked for tracks, for the description of the API."""

from __future__ import annotations

from serve.errors import ERRORS
from serve.http import examples
from serve.http.operations import (
    KEYED,
    WITH_KEY,
    Json,
    error_responses,
    json_response,
    operation,
    parameter,
    response_headers,
)
from serve.http.rates import RATE_HEADERS
from serve.http.schemas import object_, ref, text

_PREDICT = """\
In one of three forms, which get the same answer: a link as JSON, a file as a form, or the audio
itself as the body.

```sh
curl -H 'Content-Type: application/json' -d '{"url": "URL"}' http://localhost:5000/predict
curl -F file=@song.mp3 http://localhost:5000/predict
curl -H 'Content-Type: audio/mpeg' -H 'X-Filename: song.mp3' --data-binary @song.mp3 http://localhost:5000/predict
```

The body may be of any type of `audio/`, `video/` and `application/`: what counts is what is in it.

With `Accept: text/event-stream` the answer comes as server-sent events named `progress`
(TrackProgress), then one `result` (Answer), or `failure` and `error` with the same Failure, each
with JSON as its data. The events at the end have an id; a request that tells it in `Last-Event-ID`,
as browsers do, gets 204.

```sh
curl -N -H 'Accept: text/event-stream' -F file=@song.mp3 http://localhost:5000/predict
```
""".replace("URL", examples.URL)
_LINK = """\
The same as a link, to be followed or kept. Browsers get no answer ahead of time (prefetch), nor for
pages that embed it as an image, a script or a frame.

```sh
curl -G --data-urlencode 'url=URL' http://localhost:5000/predict
```
""".replace("URL", examples.URL)
_BATCH = """\
Links as JSON, or a zip of files, in a form or as the body. Each track is answered by a line of JSON
(Line) as soon as it is done, in any order; `index` tells which one it is. A batch takes few of the
server's places at a time, and waits for them: its tracks are never `overloaded`.

```sh
curl -N -H 'Content-Type: application/json' -d '{"urls": ["URL", "https://vimeo.com/1"]}' http://localhost:5000/predict/batch
curl -N -F file=@songs.zip http://localhost:5000/predict/batch
curl -N -H 'Content-Type: application/zip' --data-binary @songs.zip http://localhost:5000/predict/batch
```
""".replace("URL", examples.URL)

_TRACK = tuple(code for code in ERRORS if code != "method_not_allowed")
_WHOLE_BATCH = (
    *WITH_KEY,
    *("too_big", "unsupported_media", "overloaded", "too_many_requests", "timeout"),
)
_BINARY = {"type": "string", "format": "binary"}
_URL = parameter(
    *("url", "query", "a link to one YouTube video", {"type": "string"}),
    required=True,
    example=examples.URL,
)
_INCLUDE = parameter(
    *("include", "query", "what answers shall also hold, separated by commas"),
    {"type": "array", "items": ref("Extra")},
    style="form",
    explode=False,
)
_FILENAME = parameter(
    *(
        "X-Filename",
        "header",
        "a raw body's name, UTF-8 or percent-encoded",
        {"type": "string"},
    ),
    example="song.mp3",
)


def _answer() -> Json:
    answer = json_response("Answer", "the genres of the track", examples.ANSWER)
    content = answer["content"]
    del content["application/json"]["example"]
    content["application/json"]["examples"] = {
        "plain": {"value": examples.ANSWER},
        "include=clips,mel": {"value": examples.WITH_EXTRAS},
    }
    answer["headers"] = response_headers(*RATE_HEADERS)
    return {"200": answer}


def _predict() -> Json:
    body = {
        "application/json": {
            "schema": object_({"url": text("a link to one YouTube video")}),
            "example": {"url": examples.URL},
        },
        "multipart/form-data": {"schema": object_({"file": _BINARY})},
        "application/octet-stream": {"schema": _BINARY},
    }
    return {
        "get": operation(
            *("predict_link", "tracks", "The genre of a YouTube video, by a link"),
            _answer() | error_responses(*(set(_TRACK) - {"unsupported_media"})),
            description=_LINK,
            parameters=[_URL, _INCLUDE],
            **KEYED,
        ),
        "post": operation(
            *("predict", "tracks", "The genre of a YouTube video or of an audio file"),
            _answer() | error_responses(*_TRACK),
            description=_PREDICT,
            parameters=[_INCLUDE, _FILENAME],
            requestBody={"required": True, "content": body},
            **KEYED,
        ),
    }


def _batch() -> Json:
    links = {"type": "array", "items": {"type": "string"}, "minItems": 1}
    body = {
        "application/json": {
            "schema": object_({"urls": links}),
            "example": {"urls": [line["url"] for line in examples.LINES]},
        },
        "multipart/form-data": {"schema": object_({"file": _BINARY})},
        "application/octet-stream": {"schema": _BINARY},
    }
    lines = {"schema": text("lines of JSON, each a Line"), "example": examples.lines()}
    answer = {
        "description": "a line for each track, whether it could be answered or not",
        "headers": response_headers(*RATE_HEADERS),
        "content": {"application/x-ndjson": lines},
    }
    return {
        "post": operation(
            *("predict_batch", "tracks", "The genres of many tracks"),
            {"200": answer} | error_responses(*_WHOLE_BATCH),
            description=_BATCH,
            parameters=[_INCLUDE],
            requestBody={"required": True, "content": body},
            **KEYED,
        )
    }


def _check() -> Json:
    return {
        "get": operation(
            *("check", "tracks", "Whether a link would be taken, without asking YouTube"),
            {"200": json_response("Check", "it would", examples.CHECK)}
            | error_responses(*WITH_KEY, "bad_url", "not_youtube", "playlist"),
            parameters=[_URL],
            **KEYED,
        )
    }


def track_paths() -> Json:
    """The addresses and their operations."""
    return {"/predict": _predict(), "/predict/batch": _batch(), "/check": _check()}
