"""The figures of a benchmark's page, as SVG."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.goals import PERCENTILES, Result, shown
from benchmarks.stages import WAY, Timing

# Hues that stay apart for every kind of colour vision (Okabe and Ito 2008), and greys.
_HUES = ("#0072b2", "#56b4e9", "#009e73", "#e69f00", "#d55e00", "#cc79a7")
_MET, _MISSED, _INK, _FAINT = _HUES[0], _HUES[4], "#24292f", "#d8dee4"
_STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": "#8c959f",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": _FAINT,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "svg.hashsalt": "topgenre",
}


def stages(timings: Iterable[Timing]) -> str:
    """The stages of each track one after the other; a panel for each length, as they differ."""
    by_length: dict[str, dict[str, dict[str, float]]] = {}
    for timing in timings:
        if timing.stage in WAY:
            length, _, container = timing.track.rpartition(" ")
            taken = by_length.setdefault(length, {}).setdefault(container, {})
            taken[timing.stage] = timing.median_ms
    with mpl.rc_context(_STYLE):
        rows = sum(map(len, by_length.values()))
        figure = Figure(figsize=(8.0, 1.0 + 0.75 * rows), layout="constrained")
        panels = figure.subplots(len(by_length), squeeze=False)[:, 0]
        for axes, (length, tracks) in zip(panels, by_length.items(), strict=True):
            ends = [0.0 for _ in tracks]
            for stage, hue in zip(WAY, _HUES, strict=True):
                widths = [track.get(stage, 0.0) for track in tracks.values()]
                axes.barh([*tracks], widths, 0.6, ends, color=hue, label=stage)
                ends = [end + width for end, width in zip(ends, widths, strict=True)]
            axes.bar_label(axes.containers[-1], [f"{end:.0f} ms" for end in ends], padding=4)
            axes.set_title(length, loc="left", fontsize=10)
            axes.invert_yaxis()
            axes.margins(x=0.12)
            axes.grid(axis="x")
        panels[-1].set_xlabel("ms on one core")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(WAY), frameon=False)
        return _svg(figure)


def goals(results: Sequence[Result]) -> str:
    """How many times each result is inside its goal; those left of the line miss it."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9.0, 0.9 + 0.32 * len(results)), layout="constrained")
        axes = figure.subplots()
        margins = [_margin(result) for result in results]
        hues = [_MET if result.met else _MISSED for result in results]
        axes.barh(range(len(results)), [m - 1 for m in margins], 0.6, 1.0, color=hues)
        for row, (result, margin) in enumerate(zip(results, margins, strict=True)):
            text = shown(result.measured or 0.0, result.unit)
            axes.annotate(
                text,
                (margin, row),
                (4 if margin >= 1 else -4, 0),
                textcoords="offset points",
                ha="left" if margin >= 1 else "right",
                va="center",
                fontsize=8,
            )
        axes.axvline(1.0, color=_INK, linewidth=1)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")
        axes.margins(x=0.25, y=0.02)
        axes.set_yticks(range(len(results)), [result.name for result in results])
        axes.tick_params(axis="y", length=0)
        axes.invert_yaxis()
        axes.grid(axis="x")
        axes.set_xlabel("times better than the goal")
        return _svg(figure)


def latencies(results: Sequence[Result]) -> str:
    """The percentiles of each loop, as `Result.latency` has them."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(7.0, 3.2), layout="constrained")
        axes = figure.subplots()
        width = 0.8 / len(PERCENTILES)
        for at, (percentile, hue) in enumerate(zip(PERCENTILES, _HUES, strict=False)):
            places = [n + (at - 1) * width for n in range(len(results))]
            bars = axes.bar(
                places,
                [result.of[percentile] for result in results],
                width,
                color=hue,
                label=percentile.removesuffix(" ms"),
            )
            axes.bar_label(bars, fmt="%.0f", padding=2, fontsize=8)
        axes.set_xticks(range(len(results)), [r.name.rpartition(":")[0] for r in results])
        axes.tick_params(axis="x", length=0)
        axes.set_ylabel("ms")
        axes.grid(axis="y")
        figure.legend(loc="outside upper center", ncols=len(PERCENTILES), frameon=False)
        return _svg(figure)


def _margin(result: Result) -> float:
    # What is nothing, or better, has no logarithm.
    measured, goal = max(result.measured or 0.0, 1e-3), max(result.goal or 0.0, 1e-3)
    return measured / goal if result.at_least else goal / measured


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    # Without a date the same numbers come to the same page.
    figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()
