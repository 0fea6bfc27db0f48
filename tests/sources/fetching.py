"""The child's work done in this process: the real yt-dlp against the stand-in, without a start."""

from __future__ import annotations

import gc
import io
import json
import os
import struct
import warnings
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from serve.sources.youtube import child, runner
from serve.sources.youtube.messages import DownloadJob, Kind, YouTubeOptions


@dataclass
class Outcome:
    """The frames of one job."""

    exit_code: int
    kinds: list[Kind] = field(default_factory=list)
    said: dict[Kind, dict[str, Any]] = field(default_factory=dict)
    audio: bytes = b""

    @property
    def code(self) -> str | None:
        """The code it failed with, if it did."""
        return self.said[Kind.ERROR]["code"] if Kind.ERROR in self.said else None

    @property
    def text(self) -> str:
        return str(self.said[Kind.ERROR]["text"])


def read_frames(exit_code: int, sent: bytes) -> Outcome:
    outcome = Outcome(exit_code)
    while sent:
        first, length = struct.unpack(">cI", sent[:5])
        kind, payload, sent = Kind(first), sent[5 : 5 + length], sent[5 + length :]
        outcome.kinds.append(kind)
        if kind is Kind.DATA:
            outcome.audio += payload
        else:
            outcome.said[kind] = json.loads(payload)
    return outcome


def fetch(video_id: str, options: YouTubeOptions | None = None) -> Outcome:
    """Do one job as the child does it, in this process."""
    pipe = io.BytesIO()
    job = DownloadJob(video_id, options or YouTubeOptions())
    with (
        mock.patch.dict(os.environ),
        warnings.catch_warnings(),
    ):
        # yt-dlp leaves the sockets of failed answers open, to be closed when its process ends.
        warnings.simplefilter("ignore", ResourceWarning)
        child.tame(os.environ)
        exit_code = runner.run(job, pipe)
        gc.collect()
    return read_frames(exit_code, pipe.getvalue())
