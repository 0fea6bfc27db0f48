"""What is measured beside its goal, and how that is shown."""

from __future__ import annotations

import math
import resource
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from textwrap import shorten
from typing import Any, Self, TypeVar

import numpy as np
from rich.table import Table
from rich.text import Text

from serve.inference.measure import seconds

T = TypeVar("T")
# Characters of a failure's reason.
_REASON = 200
#: Numbers without a unit are ratios.
RATIO = "×"
_FORMATS = {
    RATIO: "{:.2f} ×",
    "%": "{:.1f} %",
    "MB": "{:.1f} MB",
    "ms": "{:.2f} ms",
    "s": "{:.3f} s",
}
#: Quantiles of a loop's latencies, by their names in `Result.of`.
PERCENTILES = {"p50 ms": 0.5, "p95 ms": 0.95, "p99 ms": 0.99}


@dataclass(frozen=True, slots=True)
class Result:
    """One number, beside its goal if it has one, which is a limit, inclusive.

    `at_least` is the direction of the goal. `of` holds what was measured side by side to come to
    it. `noise` is the share of it within which another run may come by chance. Where nothing could
    be measured `measured` is None, and `note` says why; `failed` if it should have been.
    """

    name: str
    measured: float | None
    goal: float | None = None
    at_least: bool = False
    unit: str = RATIO
    of: dict[str, float] = field(default_factory=dict)
    noise: float = 0.0
    note: str = ""
    failed: bool = False

    @classmethod
    def failure(cls, name: str, reason: str) -> Self:
        """What was to be measured and could not be, in one line."""
        return cls(name, None, note=f"failed: {reason}", failed=True)

    @classmethod
    def ratio(
        cls,
        name: str,
        of: Mapping[str, Sequence[float]],
        goal: float | None,
        *,
        at_least: bool = False,
    ) -> Self:
        """The median of the first of two samples over that of the second."""
        over, under = map(statistics.median, of.values())
        medians = {key: _rounded(statistics.median(taken)) for key, taken in of.items()}
        off = sum(map(noise, of.values()))
        return cls(name, _rounded(over / under), goal, at_least, of=medians, noise=off)

    @classmethod
    def median(
        cls, name: str, taken: Sequence[float], goal: float | None, *, unit: str = "ms"
    ) -> Self:
        """The median of a sample, with a goal that it should not be above."""
        middle = _rounded(statistics.median(taken))
        return cls(name, middle, goal, unit=unit, noise=noise(taken))

    @classmethod
    def latency(cls, name: str, taken_s: Sequence[float]) -> Self:
        """The 95th percentile of a loop's seconds, between the 50th and the 99th."""
        of = {key: round(quantile_ms(taken_s, q), 3) for key, q in PERCENTILES.items()}
        return cls(name, of["p95 ms"], unit="ms", of=of, noise=noise(taken_s))

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None where nothing was measured, or is to be reached."""
        if self.measured is None or self.goal is None:
            return None
        return self.measured >= self.goal if self.at_least else self.measured <= self.goal

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return asdict(self) | {"met": self.met}


def _rounded(number: float) -> float:
    """To five significant digits, however small it is."""
    return float(f"{number:.5g}")


def noise(taken: Sequence[float]) -> float:
    """How far a sample's median may be off, as a share of it: half of a box plot's notch.

    Medians whose notches don't overlap differ, by about 95 % (McGill, Tukey and Larsen, 1978).
    """
    low, middle, high = np.quantile(taken, (0.25, 0.5, 0.75))
    return round(1.57 * float((high - low) / abs(middle)) / math.sqrt(len(taken)), 4)


def quantile_ms(taken_s: Sequence[float], quantile: float) -> float:
    """A quantile of some seconds, in milliseconds."""
    return 1000 * float(np.quantile(taken_s, quantile))


def times_ms(calls: Mapping[str, Callable[[], object]], runs: int) -> dict[str, list[float]]:
    """The milliseconds of each call, side by side in a new order each time, warm."""
    return _ms(calls, runs, time.perf_counter)


def children_s() -> float:
    """Seconds of processor time of all children that this process has reaped so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def processor_ms(calls: Mapping[str, Callable[[], object]], runs: int) -> dict[str, list[float]]:
    """The same of this process's processor time, in which waiting for a busy core does not count.

    Of each call only the fastest run: caches that others use can but add to it.
    """
    return {name: [min(ms)] for name, ms in _ms(calls, runs, time.process_time).items()}


def _ms(
    calls: Mapping[str, Callable[[], object]], runs: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    taken = seconds(calls, runs, lambda: None, clock)
    return {name: [1000 * s for s in times] for name, times in taken.items()}


def taken(measure: Callable[[], Iterable[T]], made: list[T]) -> str:
    """Add all that is measured to `made`; tell in a line why no more came, or nothing."""
    try:
        # One by one: what came before a failure was measured.
        for one in measure():
            made.append(one)  # noqa: PERF402
    except Exception as error:
        words = " ".join(str(error).split())
        return shorten(f"{type(error).__name__}: {words}".rstrip(": "), _REASON)
    return ""


def attempted(name: str, measure: Callable[[], Iterable[Result]]) -> list[Result]:
    """The results of a comparison; where it fails, those that it had, and why it failed."""
    results: list[Result] = []
    if reason := taken(measure, results):
        results.append(Result.failure(name, reason))
    return results


def shown(number: float, unit: str) -> str:
    """A number with its unit."""
    return _FORMATS[unit].format(number)


def table(results: Iterable[Result]) -> Table:
    """The results as a table to print."""
    printed = Table("what", "goal", "measured", "met", "side by side")
    for result in results:
        if result.measured is None:
            met = "[red]failed[/]" if result.failed else "-"
            # As text: a message may look like markup.
            printed.add_row(result.name, "", "", met, Text(result.note))
            continue
        goal, met = "", "-"
        if result.goal is not None:
            goal = f"{'≥' if result.at_least else '≤'} {shown(result.goal, result.unit)}"
            met = "[green]yes[/]" if result.met else "[red]no[/]"
        beside = ", ".join(f"{name} {number:g}" for name, number in result.of.items())
        printed.add_row(result.name, goal, shown(result.measured, result.unit), met, beside)
    return printed
