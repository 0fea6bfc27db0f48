"""What was measured as one HTML file that needs nothing else."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from benchmarks import figures
from benchmarks.goals import PERCENTILES, Result, shown
from benchmarks.stages import WAY, Timing

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #24292f; background: #fff;
  max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
img { max-width: 100%; height: auto; display: block; } .wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .8rem; border-bottom: 1px solid #d8dee4; }
.note { color: #57606a; } .missed { color: #b04a00; font-weight: 600; }
"""
_RESULT = ("what", "goal", "measured", "noise", "met", "side by side")
_TIMING = ("track", "stage", "median ms", "slowest ms", "noise")


def render(document: dict[str, Any]) -> str:
    """The page of what `report.write` was given, and says of the machine."""
    timings = [Timing(**timing) for timing in document.get("timings", ())]
    results = [
        Result(**{key: value for key, value in result.items() if key != "met"})
        for result in document.get("results", ())
    ]
    versions = ", ".join(f"{name} {number}" for name, number in document["versions"].items())
    where = f"{document['processor'] or document['machine']}, {document['cores']} cores"
    with_goals = [result for result in results if result.met is not None]
    loops = [result for result in results if result.of.keys() == PERCENTILES.keys()]
    parts = [
        f"<h1>topgenre: {escape(document['what'])}</h1>",
        f"<p class=note>{escape(document['time'])}, {escape(where)}, Python "
        f"{escape(document['python'])}, model {escape(document['model'][:12])}<br>"
        f"{escape(versions)}<br>BLAS: {escape(', '.join(document['blas']) or 'unknown')}</p>",
    ]
    if with_goals:
        parts += ["<h2>Goals</h2>", _image(figures.goals(with_goals), "results over goals")]
    if any(timing.stage in WAY for timing in timings):
        parts += ["<h2>Stages</h2>", _image(figures.stages(timings), "stages of each track")]
    if loops:
        parts += ["<h2>Latency under load</h2>", _image(figures.latencies(loops), "percentiles")]
    if results:
        parts += ["<h2>Results</h2>", _table(_RESULT, map(_result, results))]
    if timings:
        parts += ["<h2>Times</h2>", _table(_TIMING, map(_timing, timings))]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>topgenre: measured</title>'
        f"<style>{_STYLE}</style><body>{''.join(parts)}</body></html>"
    )


def _result(result: Result) -> tuple[str, ...]:
    if result.measured is None:
        met = "<span class=missed>failed</span>" if result.failed else ""
        return escape(result.name), "", "", "", met, escape(result.note)
    goal = ""
    if result.goal is not None:
        goal = f"{'≥' if result.at_least else '≤'} {shown(result.goal, result.unit)}"
    met = {True: "yes", False: "<span class=missed>no</span>", None: ""}[result.met]
    beside = ", ".join(f"{name} {number:g}" for name, number in result.of.items())
    measured = shown(result.measured, result.unit)
    return escape(result.name), goal, measured, f"± {result.noise:.0%}", met, escape(beside)


def _timing(timing: Timing) -> tuple[str, ...]:
    median, slowest = f"{timing.median_ms:.1f}", f"{timing.slowest_ms:.1f}"
    return escape(timing.track), escape(timing.stage), median, slowest, f"± {timing.noise:.0%}"


def _image(svg: str, about: str) -> str:
    data = base64.b64encode(svg.encode()).decode()
    return f'<img alt="{about}" src="data:image/svg+xml;base64,{data}">'


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML."""
    lines = "".join(
        "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"
        for tag, cells in (("th", header), *(("td", row) for row in rows))
    )
    return f'<div class="wide"><table>{lines}</table></div>'
