"""A file from its upload to its answer, beside ffmpeg, which only decodes it."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import ffmpeg
from benchmarks.clients import Request, post
from benchmarks.goals import Result, times_ms
from benchmarks.media import files
from benchmarks.servers import topgenre

_RATE = 22_050


def measure(runs: int = 10, *, seconds: float = 600.0) -> Iterator[Result]:
    """Answers' wall time over that of `ffmpeg -i FILE -ac 1 -ar 22050 -f null -`."""
    with topgenre() as server, files(seconds) as paths:
        for container, path in paths.items():
            request = Request.raw(path.read_bytes())
            taken = times_ms(
                {
                    "ours ms": lambda request=request: post(server.port, request),  # type: ignore[misc]
                    "ffmpeg ms": lambda path=path: ffmpeg.decode(path, _RATE),  # type: ignore[misc]
                },
                runs,
            )
            yield Result.ratio(f"{container} to answer, of ffmpeg's decoding", taken, 1.0)
