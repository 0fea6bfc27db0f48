"""One job to its last frame.

Imports yt_dlp: for the child only.
"""

from __future__ import annotations

import time
import traceback
from typing import BinaryIO

from serve.errors import YouTubeError
from serve.sources.youtube import egress
from serve.sources.youtube.extract import Warnings, extract, make_ydl
from serve.sources.youtube.failures import classify, scrub
from serve.sources.youtube.messages import DownloadJob, Kind, write_frame, write_json
from serve.sources.youtube.transfer import blocks

#: Longest wait for an advertisement that comes before the audio, in seconds.
MAX_WAIT_S = 60.0
#: Longest note for the log, in characters.
MAX_DETAIL = 4000


def run(job: DownloadJob, pipe: BinaryIO) -> int:
    """Do this job and send its frames, the last of which says how it ended.

    0 if all was sent, 1 if an error was, or nobody listens any more.
    """
    warnings = Warnings()
    try:
        _download(job, warnings, pipe)
    except BrokenPipeError:
        return 1
    except Exception as error:
        code, text = classify(error, warnings.seen)
        detail = scrub("\n".join([*warnings.seen, traceback.format_exc()]))
        write_json(pipe, Kind.ERROR, code=code, text=text, detail=detail[-MAX_DETAIL:])
        return 1
    return 0


def _download(job: DownloadJob, warnings: Warnings, pipe: BinaryIO) -> None:
    options = job.options
    with egress.enforced(options.proxy), make_ydl(options, warnings) as ydl:
        track = extract(ydl, job)
        write_json(
            pipe,
            Kind.INFO,
            title=track.title,
            duration_s=track.duration_s,
            size_bytes=track.size_bytes,
        )
        _await(track.available_at, pipe)
        size = 0
        for block in blocks(
            ydl.urlopen, track, max_bytes=options.max_bytes, retries=options.retries
        ):
            write_frame(pipe, Kind.DATA, block)
            size += len(block)
        write_json(pipe, Kind.END, size_bytes=size)


def _await(available_at: float, pipe: BinaryIO) -> None:
    """Wait until YouTube hands the audio over (Unix time in seconds), telling the parent so."""
    if available_at - time.time() > MAX_WAIT_S:
        raise YouTubeError("YouTube puts an advertisement before the audio that is too long.")
    while (left := available_at - time.time()) > 0:
        write_json(pipe, Kind.WAIT, seconds=round(left, 1))
        time.sleep(min(left, 1.0))
