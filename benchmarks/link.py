"""A link's goals: how soon its download begins, and what is left to do when it is over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from benchmarks.download import ANEW, FIRST_BYTE, FIRST_EVENT, PRELOADED, TAIL, taken_ms
from benchmarks.goals import Result
from benchmarks.media import CONTAINERS, track

# Milliseconds from the last byte to the answer, by the seconds of audio.
_TAILS = {180.0: 40.0, 600.0: 110.0}


def measure(runs: int = 3, *, tails: Mapping[float, float] = _TAILS) -> Iterator[Result]:
    """Links over a network of 40 Mbit/s; `tails` are the lengths that are asked for."""
    tracks = {
        f"{seconds:g} s of {container}": (track(seconds, container), seconds)
        for seconds in tails
        for container in CONTAINERS
    }
    taken = taken_ms(tracks, runs)

    def over_all(stage: str, way: str) -> list[float]:
        return [ms for name in tracks for ms in taken[stage, way, name]]

    for name, (_, seconds) in tracks.items():
        yield Result.median(f"{name}: {TAIL}", taken[TAIL, PRELOADED, name], tails[seconds])
    yield Result.median(f"link: {FIRST_EVENT}", over_all(FIRST_EVENT, PRELOADED), 20.0)
    before, after = over_all(FIRST_BYTE, ANEW), over_all(FIRST_BYTE, PRELOADED)
    yield Result.median(f"link: {FIRST_BYTE}", after, 350.0)
    yield Result.ratio(
        f"link: {FIRST_BYTE}, started anew, of preloaded",
        {"anew ms": before, "preloaded ms": after},
        1.0,
        at_least=True,
    )
