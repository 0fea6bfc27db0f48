"""How soon the server is ready, in an environment that is."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

from benchmarks.goals import Result
from benchmarks.servers import topgenre
from serve.paths import ROOT


def measure(runs: int = 5) -> Iterator[Result]:
    """Seconds from the command to /health/ready, and of importing the package."""
    ready, imported = [], []
    for _ in range(runs):
        with topgenre() as server:
            ready.append(server.ready_s)
        start = time.perf_counter()
        subprocess.run((sys.executable, "-c", "import serve"), cwd=ROOT, check=True)
        imported.append(time.perf_counter() - start)
    for name, taken, goal in (
        ("python -m serve to /health/ready", ready, 2.0),
        ('python -c "import serve"', imported, 0.15),
    ):
        yield Result.median(name, taken, goal, unit="s")
