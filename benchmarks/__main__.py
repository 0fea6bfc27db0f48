"""`python -m benchmarks`: prints a table, and writes it as JSON with what it was measured on."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.progress import track as progress
from rich.table import Table

from benchmarks import end_to_end, stages
from benchmarks.media import track
from serve.inference.session import load_model
from serve.settings import Settings

_SECONDS = {"30 s": 30.0, "3 min": 180.0, "10 min": 600.0}
_PACKAGES = ("topgenre", "av", "numpy", "scipy", "librosa")


def main() -> None:
    """Measure everything once over."""
    parser = argparse.ArgumentParser(prog="benchmarks")
    parser.add_argument("--runs", type=int, default=5, help="times each stage is measured")
    parser.add_argument("--out", type=Path, default=Path("runs/bench"), help="folder for the JSON")
    asked = parser.parse_args()
    settings = Settings.from_environment()
    model = load_model(settings.model, "cpu", settings.inference_threads)
    console = Console()
    media = {
        f"{length} {container}": (track(seconds, container), seconds + 1)
        for length, seconds in _SECONDS.items()
        for container in ("m4a", "webm")
    }
    timings: list[stages.Timing] = []
    for name, (content, seconds) in progress(media.items(), "stages", console=console):
        timings += stages.measure(model, name, content, seconds, asked.runs)
    timings += end_to_end.measure(
        settings, {name: content for name, (content, _) in media.items()}, asked.runs
    )
    table = Table("track", "stage", "median ms", "slowest ms")
    for timing in sorted(timings, key=lambda t: list(media).index(t.track)):
        table.add_row(
            timing.track, timing.stage, f"{timing.median_ms:.1f}", f"{timing.slowest_ms:.1f}"
        )
    console.print(table)
    asked.out.mkdir(parents=True, exist_ok=True)
    path = asked.out / time.strftime("%Y%m%d-%H%M%S.json")
    machine = {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in _PACKAGES},
        "model": model.sha256,
    }
    path.write_text(json.dumps(machine | {"timings": [asdict(t) for t in timings]}, indent=1))
    console.print(f"written to {path}")


if __name__ == "__main__":
    main()
