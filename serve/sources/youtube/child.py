"""The downloader's process, one for one video: `python -m serve.sources.youtube.child`.

Standard input: one job as a line of JSON, then nothing; it stays open as long as the server lives
(`parent_watch`). Standard output: frames (both in `messages`). It writes no file. Where yt-dlp is
kept loaded, `template` forks such processes instead, and they begin with `serve`.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, MutableMapping
from typing import BinaryIO

from serve.sources.youtube import confinement
from serve.sources.youtube.messages import DownloadJob, Kind, write_json
from serve.workers import parent_watch

Run = Callable[[DownloadJob, BinaryIO], int]


def main() -> int:
    """Do one job in a process started for it; the exit code of `serve`."""
    gc.disable()  # one short job: what garbage there is goes with the process
    return serve(load)


def serve(load: Callable[[], Run]) -> int:
    """Do the one job; 0 if all was sent, 1 if an error was, or nobody listens any more."""
    pipe = _take_stdout()
    line = parent_watch.first_line(sys.stdin.fileno())
    if line is None:
        parent_watch.kill_own_group()
    job = DownloadJob.from_line(line)
    # Before there is a second thread, and before anything comes from outside.
    held = confinement.confine(job.options)
    parent_watch.watch(sys.stdin.fileno())
    write_json(pipe, Kind.HELD, **held.to_dict())
    run = load()
    return run(job, pipe)


def load() -> Run:
    """The slow part of a start: yt-dlp, which looks at the environment; what does a job then."""
    tame(os.environ)
    from serve.sources.youtube import runner

    return runner.run


def _take_stdout() -> BinaryIO:
    """The frame pipe for frames alone: whatever else is printed goes to standard error."""
    pipe = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return pipe


def tame(environ: MutableMapping[str, str]) -> None:
    """Keep yt-dlp from running plug-ins, and deno from writing to HOME and from looking around."""
    environ["YTDLP_NO_PLUGINS"] = "1"
    environ["DENO_DIR"] = os.devnull  # not a folder: deno then goes without its cache
    environ["DENO_NO_UPDATE_CHECK"] = "1"


if __name__ == "__main__":
    os._exit(main())  # where nothing can be written, nothing is left to be put in order
