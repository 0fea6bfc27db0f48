"""`python -m benchmarks.compare BASE [NEW]`: what a change did to what was measured before."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.report import ALIKE

# From one run to the next the machine itself may change by that much.
_FLOOR = 0.05


class CompareError(Exception):
    """Files that can't be compared; the text says why."""


@dataclass(frozen=True, slots=True)
class Change:
    """A number before and after. `noise` is the share by which it may differ by chance."""

    name: str
    base: float
    new: float
    at_least: bool
    noise: float

    @property
    def ratio(self) -> float:
        """After over before."""
        return self.new / self.base

    @property
    def verdict(self) -> str:
        """`worse`, `better`, or nothing where chance may have done it."""
        better = self.ratio if self.at_least else 1 / self.ratio
        if 1 / (1 + self.noise) <= better <= 1 + self.noise:
            return ""
        return "better" if better > 1 else "worse"


def main(arguments: list[str] | None = None) -> int:
    """Print a table of what is in both files, the worst first; 2 where they can't be compared."""
    parser = argparse.ArgumentParser(prog="benchmarks.compare")
    parser.add_argument("base", type=Path, help="JSON of before")
    parser.add_argument("new", type=Path, nargs="?", help="JSON of after; else the newest beside")
    parser.add_argument("--force", action="store_true", help="also of another machine or model")
    asked = parser.parse_args(arguments)
    console = Console()
    try:
        base = _read(asked.base)
        path = asked.new or newest(asked.base, base["what"])
        new = _read(path)
        if not asked.force:
            _check(base, new)
    except CompareError as error:
        print(error, file=sys.stderr)
        return 2
    found = sorted(changes(base, new), key=lambda change: change.verdict != "worse")
    table = Table("what", "before", "after", "after/before", "chance", "", title=f"{path}")
    for change in found:
        colour = {"worse": "red", "better": "green", "": "default"}[change.verdict]
        table.add_row(
            change.name,
            f"{change.base:.4g}",
            f"{change.new:.4g}",
            f"{change.ratio:.2f}",
            f"± {change.noise:.0%}",
            f"[{colour}]{change.verdict}[/]",
        )
    console.print(table)
    worse = sum(change.verdict == "worse" for change in found)
    console.print(f"{worse} of {len(found)} worse")
    return 0


def changes(base: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    """What was measured both times."""
    before, after = _numbers(base), _numbers(new)
    for name in before.keys() & after.keys():
        (old, at_least, old_noise), (now, _, now_noise) = before[name], after[name]
        if old > 0 and now > 0:
            yield Change(name, old, now, at_least, max(_FLOOR, old_noise + now_noise))


def newest(base: Path, what: str) -> Path:
    """The last file of the same kind beside `base`; raise CompareError where there is none."""
    beside = set(base.resolve().parent.glob(f"{what}-*.json")) - {base.resolve()}
    if not beside:
        raise CompareError(f"There is no other result of `{what}` beside {base}.")
    return max(beside, key=lambda path: path.stat().st_mtime)


def _numbers(document: dict[str, Any]) -> dict[str, tuple[float, bool, float]]:
    """Each number by its name, whether more is better, and its noise."""
    timings = {
        f"{t['track']}: {t['stage']} ms": (t["median_ms"], False, t["noise"])
        for t in document.get("timings", ())
    }
    return timings | {
        result["name"]: (result["measured"], result["at_least"], result["noise"])
        for result in document.get("results", ())
        if result["measured"] is not None
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CompareError(f"{path} can't be read: {error}") from error
    if not isinstance(document, dict) or "what" not in document:
        raise CompareError(f"{path} is not what `make bench` writes.")
    return document


def _check(base: dict[str, Any], new: dict[str, Any]) -> None:
    other = [f"{key}: {base[key]} and {new[key]}" for key in ALIKE if base[key] != new[key]]
    if other:
        raise CompareError(f"These can't be compared (with --force they are): {'; '.join(other)}.")


if __name__ == "__main__":
    sys.exit(main())
