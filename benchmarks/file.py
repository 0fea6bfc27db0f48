"""A file from its upload to its answer, beside ffmpeg, which only decodes it."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from benchmarks import ffmpeg
from benchmarks.clients import Request, post
from benchmarks.goals import Result, noise, times_ms
from benchmarks.media import files
from benchmarks.servers import topgenre
from benchmarks.straight import OnAllCores
from serve.container import cores

_RATE = 22_050
_GOALS = {"m4a": 0.75, "webm": 0.55}
# How much more than the work alone an answer may take.
_MORE = 0.1


def measure(runs: int = 5, *, seconds: float = 600.0) -> Iterator[Result]:
    """Answers' wall time over that of `ffmpeg -i FILE -ac 1 -ar 22050 -f null -`.

    Beside it stands the work alone, spread evenly over all cores: no server can be faster.
    """
    with topgenre() as server, OnAllCores(seconds + 1) as work, files(seconds) as paths:
        for container, path in paths.items():
            request = Request.raw(path.read_bytes())
            taken = times_ms(
                {
                    "ours ms": lambda request=request: post(server.port, request),  # type: ignore[misc]
                    "ffmpeg ms": lambda path=path: ffmpeg.decode(path, _RATE),  # type: ignore[misc]
                    "the work alone ms": lambda path=path: work.predict(path),  # type: ignore[misc]
                },
                runs,
            )
            alone = taken.pop("the work alone ms")
            yield Result.ratio(
                f"{container} to answer, of ffmpeg's decoding", taken, _GOALS[container]
            )
            ours, theirs = (statistics.median(ms) for ms in taken.values())
            evenly = statistics.median(alone) / cores()
            more = ours - evenly
            ours_off, theirs_off = map(noise, taken.values())
            # A difference is as uncertain as both together, however small it is itself.
            off = (ours * ours_off + evenly * noise(alone)) / (abs(more) or 1.0) + theirs_off
            of = {"ours ms": ours, "the work alone ms": evenly, "ffmpeg ms": theirs}
            yield Result(
                f"{container} to answer, beyond the work alone, in ffmpeg's decodings",
                round(more / theirs, 3),
                _MORE,
                noise=round(off, 4),
                of={name: round(ms, 3) for name, ms in of.items()},
            )
