"""What is measured beside its goal, and how that is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from rich.table import Table

from serve.inference.measure import median_ms, seconds

#: Numbers without a unit are ratios.
RATIO = "×"
_FORMATS = {RATIO: "{:.2f} ×", "%": "{:.1f} %", "ms": "{:.2f} ms", "s": "{:.3f} s"}


@dataclass(frozen=True, slots=True)
class Result:
    """One number beside its goal, which is a limit, inclusive.

    `at_least` is the direction of the goal. `of` holds what was measured side by side to come to
    it. Where nothing could be measured `measured` is None, and `note` says why.
    """

    name: str
    measured: float | None
    goal: float | None = None
    at_least: bool = False
    unit: str = RATIO
    of: dict[str, float] = field(default_factory=dict)
    note: str = ""

    @classmethod
    def ratio(
        cls, name: str, of: Mapping[str, float], goal: float, *, at_least: bool = False
    ) -> Self:
        """The first of two numbers over the second."""
        numerator, denominator = of.values()
        rounded = {key: round(number, 3) for key, number in of.items()}
        return cls(name, round(numerator / denominator, 4), goal, at_least, of=rounded)

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None where nothing was measured."""
        if self.measured is None or self.goal is None:
            return None
        return self.measured >= self.goal if self.at_least else self.measured <= self.goal

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return asdict(self) | {"met": self.met}


def medians_ms(calls: Mapping[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """The median milliseconds of each call, side by side in a new order each time, warm."""
    return {
        name: median_ms(taken)
        for name, taken in seconds(calls, runs, on_round=lambda: None).items()
    }


def table(results: Iterable[Result]) -> Table:
    """The results as a table to print."""
    shown = Table("what", "goal", "measured", "met", "side by side")
    for result in results:
        if result.measured is None or result.goal is None:
            shown.add_row(result.name, "", "", "-", result.note)
            continue
        text = _FORMATS[result.unit].format
        shown.add_row(
            result.name,
            f"{'≥' if result.at_least else '≤'} {text(result.goal)}",
            text(result.measured),
            "[green]yes[/]" if result.met else "[red]no[/]",
            ", ".join(f"{name} {number:g}" for name, number in result.of.items()),
        )
    return shown
