"""Answers and errors as what goes over the wire."""

from __future__ import annotations

import math
from typing import Any

from starlette.responses import JSONResponse

from serve.errors import TopgenreError
from serve.inference.session import Model
from serve.pipeline import Answer, Progress


def answer_body(answer: Answer, model: Model) -> dict[str, Any]:
    """The body of a 200, but for its request id: three keys that never change, then the rest."""
    verdict = answer.verdict
    return {
        "video_title": answer.title,
        "top_prediction": verdict.top,
        "results": verdict.results,
        "duration_s": round(answer.duration_s, 3),
        "clip_s": answer.clip_s,
        "timeline": [
            {"start": round(n * answer.clip_s, 3), "genre": genre, "confidence": confidence}
            for n, (genre, confidence) in enumerate(verdict.clips)
        ],
        "model": {
            "name": model.card.name,
            "version": model.card.version,
            "sha256": model.sha256,
        },
        "provider": model.provider,
        "timings_ms": answer.timings_ms,
        "cached": False,
    }


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
    """The body of every failure, but for its request id."""
    return {
        "error": error.message,
        "code": error.code,
        "retryable": error.retryable,
    }


def error_response(error: TopgenreError, request_id: str) -> JSONResponse:
    """A failure with its status and, where there is one, Retry-After in whole seconds."""
    headers = {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    return JSONResponse(error_body(error) | {"request_id": request_id}, error.status, headers)
