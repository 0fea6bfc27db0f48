"""What requests and answers look like, for the description of the API."""

from __future__ import annotations

import json
from typing import Any

Json = dict[str, Any]

URL = "https://www.youtube.com/watch?v=kJQP7kiw5Fk"
REQUEST_ID = "5f0c2a4d8e3b4b6f9a1d7c2e8f3a6b1c"
_SHA256 = "0b8f4f7c5d1e2a39" * 4

ANSWER: Json = {
    "video_title": "song.mp3",
    "top_prediction": "jazz",
    "results": {"jazz": 81.2, "blues": 18.8},
    "music": 0.9785,
    "tags": [{"tag": "Swing music", "probability": 0.3127}],
    "duration_s": 3.0,
    "clip_s": 1.4,
    "timeline": [
        {"start": 0.0, "genre": "jazz", "confidence": 0.9012, "music": 0.9921},
        {"start": 1.4, "genre": "jazz", "confidence": 0.7228, "music": 0.9649},
    ],
    "warnings": [],
    "model": {"name": "topgenre", "version": "1", "sha256": _SHA256},
    "provider": "cpu",
    "timings_ms": {"open": 0.1, "decode": 8.2, "mel": 1.1, "inference": 1.9, "total": 12.0},
    "cached": False,
    "request_id": REQUEST_ID,
}
WITH_EXTRAS: Json = ANSWER | {
    "clips": {"genres": ["blues", "jazz"], "percent": [[9.9, 90.1], [27.7, 72.3]]},
    "mel": {"columns": 2, "bands": 3, "low_db": -95.5, "high_db": -15.5, "pixels": "AEB//5MK"},
}
CHECK: Json = {"id": "kJQP7kiw5Fk", "url": URL}
LIVE: Json = {"status": "live"}
READY: Json = {"status": "ready"}
INFO: Json = {
    "model": {
        "name": "topgenre",
        "version": "1",
        "sha256": _SHA256,
        "licence": "MIT",
        "training": {"about": "GTZAN, fault-filtered split"},
        "scores": {"valid": {"track_accuracy": 0.66}},
    },
    "genres": ["blues", "jazz"],
    "tags": ["Swing music", "Techno"],
    "sounds": ["Speech"],
    "front_end": {"sample_rate": 22050, "n_fft": 2048, "hop_length": 1920, "n_mels": 128},
    "clip_s": 1.4,
    "provider": "cpu",
    "limits": {"max_duration_s": 600, "max_body_bytes": 268435456, "deadline_s": 60.0},
    "sandbox": {
        "decoders": {
            "landlock": 7,
            "seccomp": True,
            "refused": ["connect", "read", "write", "start", "signal", "own", "look up"],
            "limits": {"address_space": 2147483648, "file_size": 0, "processes": 0},
        },
        "downloaders": None,
    },
    "versions": {"python": "3.13.1", "topgenre": "0.2.0"},
}
METRICS = """\
# HELP topgenre_ready 1 when tracks are taken
# TYPE topgenre_ready gauge
topgenre_ready 1.0
"""


def error(code: str, text: str, *, retryable: bool) -> Json:
    """The body of a failure."""
    return {"error": text, "code": code, "retryable": retryable, "request_id": REQUEST_ID}


LINES: tuple[Json, ...] = (
    {"index": 1, "url": "https://vimeo.com/1"}
    | error("not_youtube", "Only YouTube links are accepted.", retryable=False),
    {"index": 0, "url": URL} | ANSWER,
)


def lines() -> str:
    """A batch's answer, as it goes over the wire."""
    return "".join(json.dumps(line) + "\n" for line in LINES)
