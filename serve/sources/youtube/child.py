"""The downloader's process: `python -m serve.sources.youtube.child`, one for one video.

Standard input: one job as a line of JSON (`job.Job`), then nothing; it stays open as long as the
parent lives (`lifeline`). Standard output: frames (`frames`). The process imports yt-dlp before
it waits for its job, so that it can be started ahead of time. It writes no file.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import MutableMapping
from typing import BinaryIO

from serve.sources.youtube.lifeline import listen


def main() -> int:
    """Do the one job; 0 if all was sent, 1 if an error was, or nobody listens any more."""
    gc.disable()  # one short job: what garbage there is goes with the process
    lines = listen(sys.stdin.fileno())
    pipe = _take_stdout()
    confine(os.environ)
    # Here, not above: the slow part of a start (yt-dlp), which looks at the environment.
    from serve.sources.youtube import fence, work

    fence.refuse_redirects()
    return work.run(lines.get(), pipe)


def _take_stdout() -> BinaryIO:
    """The frame pipe for frames alone: whatever else is printed goes to standard error."""
    pipe = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return pipe


def confine(environ: MutableMapping[str, str]) -> None:
    """Keep yt-dlp from running plug-ins, and deno from writing to HOME and from looking around."""
    environ["YTDLP_NO_PLUGINS"] = "1"
    environ["DENO_DIR"] = os.devnull  # not a folder: deno then goes without its cache
    environ["DENO_NO_UPDATE_CHECK"] = "1"


if __name__ == "__main__":
    sys.exit(main())
