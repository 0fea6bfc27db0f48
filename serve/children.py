"""The processes that the server has started: how many, and what memory they take."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

_PROC = Path("/proc")


class ChildrenCollector(Collector):
    """`topgenre_children` and `topgenre_children_resident_memory_bytes`, on Linux."""

    def collect(self) -> Iterator[Metric]:
        """Both gauges, read at this moment."""
        if not _PROC.is_dir():
            return
        children = descendants(os.getpid())
        yield GaugeMetricFamily(
            "topgenre_children", "Child processes, with theirs", value=len(children)
        )
        yield GaugeMetricFamily(
            "topgenre_children_resident_memory_bytes",
            "Memory of the child processes; what they share is counted for each",
            value=sum(map(_resident_bytes, children)),
        )


def descendants(parent: int) -> list[int]:
    """The process ids of a process's children, of theirs and so on, as Linux tells them."""
    found = []
    for path in _PROC.glob(f"{parent}/task/*/children"):
        with suppress(OSError):
            for child in map(int, path.read_text().split()):
                found += [child, *descendants(child)]
    return found


def _resident_bytes(process: int) -> int:
    try:
        pages = int((_PROC / str(process) / "statm").read_text().split()[1])
    except OSError:  # it has just ended
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
