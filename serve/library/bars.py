"""Progress bars for tracks on a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from serve.answer import Progress as Report
from serve.answer import Stage
from serve.text import one_line

# The share of the whole work that is done when a stage begins and when it ends.
_STAGES: dict[Stage, tuple[float, float]] = {
    "accepted": (0.0, 0.05),
    "found": (0.05, 0.1),
    "downloading": (0.1, 0.8),
    "listening": (0.1, 0.9),
    "classifying": (0.9, 1.0),
}


class Bars:
    """A bar for each track in progress and, where there are several tracks, one for all.

    To be used as a context; it draws on terminals only, and nothing if `hidden`.
    """

    def __init__(self, console: Console, total: int, *, hidden: bool = False) -> None:
        self._bars = Progress(
            SpinnerColumn(),
            BarColumn(),
            TextColumn("{task.fields[stage]:12} {task.description}", markup=False),
            console=console,
            transient=True,
            disable=hidden or not console.is_terminal,
        )
        self._total = total
        self._start = time.monotonic()
        self._failed = self._done = 0
        self._all = self._bars.add_task("", total=total, stage="", visible=total > 1)
        self._describe()

    def __enter__(self) -> Bars:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    @contextmanager
    def track(self, name: str) -> Iterator[Callable[[Report], None]]:
        """A bar for a track while the context lasts; yields the callback for its progress."""
        bar = self._bars.add_task(one_line(name), total=1.0, stage="")
        done = 0.0

        def report(progress: Report) -> None:
            nonlocal done
            start, end = _STAGES[progress.stage]
            # Stages overlap, and some have no known fraction; the bar must not move backwards.
            done = max(done, start + (end - start) * (progress.fraction or 0.0))
            self._bars.update(bar, completed=done, stage=progress.stage)

        try:
            yield report
        finally:
            self._bars.remove_task(bar)

    def done(self, tracks: int, *, failed: bool) -> None:
        """Count finished tracks."""
        self._done += tracks
        self._failed += tracks if failed else 0
        self._bars.update(self._all, completed=self._done)
        self._describe()

    @property
    def summary(self) -> str:
        """A one-line summary of all tracks."""
        seconds = time.monotonic() - self._start
        done = f"{self._done} of {self._total} tracks in {seconds:.1f} s"
        return f"{done}, {self._failed} failed" if self._failed else done

    def _describe(self) -> None:
        text = f"of {self._total}"
        if self._failed:
            text += f", {self._failed} failed"
        if remaining := self._bars.tasks[0].time_remaining:
            text += f", about {_clock(remaining)} left"
        self._bars.update(self._all, stage=str(self._done), description=text)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
