"""Progress of long work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Item = TypeVar("Item")
Advance = Callable[[int, int], None]
"""Called with the number of files or tracks done, and their total."""


def bar(console: Console) -> Progress:
    """A bar with description, share done, and time spent and left."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


def counted(items: Sequence[Item], advance: Advance) -> Iterator[Item]:
    """The items, with `advance` called after each."""
    for number, item in enumerate(items, 1):
        yield item
        advance(number, len(items))
