"""Progress of a catalogue, on a terminal or in a log."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)


class Bar:
    """A bar with rate and time left on a terminal; elsewhere a line for each shard.

    To be used as a context.
    """

    def __init__(self, console: Console, tracks: int) -> None:
        self._console = console
        self._bar = Progress(
            SpinnerColumn(),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("tracks", total=tracks)
        self._start = time.monotonic()
        self._tracks, self._done, self._failed = tracks, 0, 0

    def __enter__(self) -> Bar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def track(self, *, failed: bool) -> None:
        """Count a track."""
        self.tracks(1, failed=failed)

    def tracks(self, number: int, *, failed: int) -> None:
        """Count tracks, some of which failed."""
        self._done += number
        self._failed += failed
        self._bar.update(self._task, completed=self._done, description=self._words())

    def shard(self, number: int, *, rows: int) -> None:
        """Report a shard that was written."""
        if not self._console.is_terminal:
            left = (self._tracks - self._done) * self._seconds / max(self._done, 1)
            self._console.print(
                f"shard {number}: {rows} tracks; {self._done} of {self._tracks} done, "
                f"{self._words()}, about {left:.0f} s left"
            )

    @property
    def summary(self) -> str:
        """A one-line summary."""
        return f"{self._done} tracks in {self._seconds:.1f} s, {self._words()}"

    @property
    def _seconds(self) -> float:
        return max(time.monotonic() - self._start, 1e-9)

    def _words(self) -> str:
        return f"{self._failed} failed, {self._done / self._seconds:.1f} tracks/s"
