"""Answers and errors as what goes over the wire."""

from __future__ import annotations

import math
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from serve.answer import Answer, Progress
from serve.errors import BadRequest, TopgenreError
from serve.inference.session import Model

#: What `include` may ask for on top of every answer.
EXTRAS = ("clips", "mel")


class Json(Response):
    """A body in JSON; for a long track, encoded in a quarter of the standard library's time."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The body as it is sent."""
        return to_json(content)


def included(request: Request) -> frozenset[str]:
    """What the request's `include` asks for; raise BadRequest for what there is not."""
    given = ",".join(request.query_params.getlist("include"))
    names = frozenset(name for part in given.split(",") if (name := part.strip()))
    if names.difference(EXTRAS):
        raise BadRequest(f"include takes {' and '.join(EXTRAS)}, separated by commas.")
    return names


def answer_body(
    answer: Answer, model: Model, include: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """The body of a 200, but for its request id: three keys that never change, then the rest.

    `include` names those of EXTRAS that are wanted.
    """
    verdict = answer.verdict
    extras: dict[str, Any] = {}
    if "clips" in include:
        extras["clips"] = {"genres": model.card.genres, "percent": verdict.shares}
    if "mel" in include:
        extras["mel"] = asdict(answer.picture)
    return {
        "video_title": answer.title,
        "top_prediction": verdict.top,
        "results": verdict.results,
        "music": verdict.music,
        "tags": [{"tag": tag, "probability": share} for tag, share in verdict.tags.items()],
        "duration_s": round(answer.duration_s, 3),
        "clip_s": answer.clip_s,
        "timeline": [
            {"start": start, "genre": genre, "confidence": confidence, "music": music}
            for start, (genre, confidence, music) in zip(
                _starts(answer.clip_s, len(verdict.clips)), verdict.clips, strict=True
            )
        ],
        "warnings": answer.warnings,
        "model": {
            "name": model.card.name,
            "version": model.card.version,
            "sha256": model.sha256,
        },
        "provider": model.provider,
        "timings_ms": answer.timings_ms,
        "cached": answer.cached,
    } | extras


@lru_cache
def _starts(clip_s: float, clips: int) -> tuple[float, ...]:
    return tuple(round(n * clip_s, 3) for n in range(clips))


def progress_body(progress: Progress) -> dict[str, Any]:
    """The data of a `progress` event; what is not known is left out, but for the fraction."""
    body: dict[str, Any] = {
        "stage": progress.stage,
        "fraction": progress.fraction,
        "seconds": progress.seconds,
    }
    if progress.title is not None:
        body |= {"video_title": progress.title, "duration_s": progress.duration_s}
    return body


def error_body(error: TopgenreError) -> dict[str, Any]:
    """The body of every failure, but for its request id; `retry_after_s` only where known."""
    body = {
        "error": error.message,
        "code": error.code,
        "retryable": error.retryable,
    }
    if error.retry_after_s is not None:
        body["retry_after_s"] = math.ceil(error.retry_after_s)
    return body


def error_response(error: TopgenreError, request_id: str) -> Response:
    """A failure with its status and, where there is one, Retry-After in whole seconds."""
    headers = {"Cache-Control": "no-store"}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    return Json(error_body(error) | {"request_id": request_id}, error.status, headers)
