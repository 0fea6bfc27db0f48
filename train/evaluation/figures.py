"""The figures of a run's report, as SVG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from train.scoring.measures import GenreScore, LengthScore, Reliability

# Two hues that differ for every kind of colour vision (Okabe and Ito 2008), and greys.
_ONE, _OTHER, _INK, _FAINT = "#0072b2", "#d55e00", "#24292f", "#8c959f"
_STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "svg.hashsalt": "topgenre",
}


def confusion(counts: Sequence[Sequence[int]], genres: Sequence[str]) -> str:
    """Tracks by genre (row) and answer (column), shaded by their share of the row."""
    numbers = np.array(counts)
    share = numbers / np.maximum(numbers.sum(axis=1, keepdims=True), 1)
    with mpl.rc_context(_STYLE):
        size = 2.2 + 0.48 * len(genres)
        figure = Figure(figsize=(size, size), layout="constrained")
        axes = figure.subplots()
        axes.imshow(share, cmap="Blues", vmin=0.0, vmax=1.0)
        for row, column in np.argwhere(numbers):
            colour = "white" if share[row, column] > 0.55 else _INK
            text = str(numbers[row, column])
            axes.text(column, row, text, ha="center", va="center", color=colour)
        axes.set_xticks(range(len(genres)), genres, rotation=45, ha="right")
        axes.set_yticks(range(len(genres)), genres)
        axes.set(xlabel="answer", ylabel="genre")
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        return _svg(figure)


def per_genre(scores: Sequence[GenreScore]) -> str:
    """Precision and recall of each genre."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(7.0, 1.4 + 0.34 * len(scores)), layout="constrained")
        axes = figure.subplots()
        rows = np.arange(len(scores))
        parts = (
            ("precision", [s.precision for s in scores], -0.19, _ONE),
            ("recall", [s.recall for s in scores], 0.19, _OTHER),
        )
        for name, values, shift, colour in parts:
            widths = [np.nan if value is None else value for value in values]
            bars = axes.barh(rows + shift, widths, 0.34, color=colour, label=name)
            labels = ["" if value is None else f"{value:.0%}" for value in values]
            axes.bar_label(bars, labels, padding=3, fontsize=8)
        axes.set_yticks(rows, [score.genre for score in scores])
        axes.invert_yaxis()
        axes.tick_params(axis="y", length=0)
        _percent(axes, "x", 0.0, 1.08)
        figure.legend(loc="outside upper center", ncols=2, frameon=False)
        return _svg(figure)


def reliability(parts: Sequence[tuple[str, Reliability]]) -> str:
    """Confidence against accuracy, one panel per named part, with a histogram below."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(3.8 * len(parts), 4.6), layout="constrained")
        grid = figure.subplots(2, len(parts), height_ratios=(4, 1), squeeze=False, sharex=True)
        for column, (name, of) in enumerate(parts):
            axes, below = grid[0, column], grid[1, column]
            axes.plot((0, 1), (0, 1), color=_FAINT, linestyle="--", linewidth=1)
            axes.plot(of.confidence, of.accuracy, color=_ONE, linewidth=1)
            # A bin with few answers says little, so its point is small.
            area = 8.0 + 80.0 * np.array(of.count) / max(of.count)
            axes.scatter(of.confidence, of.accuracy, area, _ONE, clip_on=False, zorder=3)
            axes.set_title(f"{name}: ECE {of.ece:.3f}", loc="left", fontsize=10, pad=10)
            _percent(axes, "y", 0.0, 1.0)
            below.bar(of.confidence, of.count, 0.05, color=_FAINT)
            _percent(below, "x", 0.0, 1.0)
            below.set_xlabel("mean confidence")
            if column == 0:
                axes.set_ylabel("right answers")
                below.set_ylabel("answers")
        return _svg(figure)


def learning(history: Sequence[dict[str, Any]]) -> str:
    """Loss of training and accuracy on valid, by epoch."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(7.6, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        left.plot([row["epoch"] for row in history], [row["loss"] for row in history], color=_INK)
        left.set(xlabel="epoch", title="training loss (augmented clips)")
        scored = [row for row in history if "valid_track_accuracy" in row]
        epochs = [row["epoch"] for row in scored]
        marker = "o" if len(scored) == 1 else None
        for name, colour in (("track", _ONE), ("clip", _OTHER)):
            values = [row[f"valid_{name}_accuracy"] for row in scored]
            right.plot(epochs, values, color=colour, marker=marker)
            right.annotate(
                f"{name}s {values[-1]:.1%}",
                (epochs[-1], values[-1]),
                (5, 0),
                textcoords="offset points",
                va="center",
                color=colour,
            )
        right.set(xlabel="epoch", title="valid: right answers")
        _percent(right, "y")
        for axes in (left, right):
            axes.title.set(fontsize=10)
        return _svg(figure)


def length(scores: Sequence[LengthScore], clip_s: float) -> str:
    """Track accuracy against the seconds of a track that are used."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(7.0, 3.2), layout="constrained")
        axes = figure.subplots()
        seconds = [score.clips * clip_s for score in scores]
        shares = [score.accuracy for score in scores]
        axes.plot(seconds, shares, color=_ONE, marker="o", markersize=5)
        for at in sorted({0, len(scores) - 1}):
            axes.annotate(
                f"{shares[at]:.1%}",
                (seconds[at], shares[at]),
                (8, -10) if at == 0 else (0, 8),
                textcoords="offset points",
                ha="left" if at == 0 else "center",
            )
        axes.set(xlabel="seconds of each track used", ylabel="right tracks")
        axes.set_xlim(left=0.0)
        axes.margins(y=0.25)
        _percent(axes, "y")
        return _svg(figure)


def _percent(axes: Any, which: str, low: float | None = None, high: float | None = None) -> None:
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter(mpl.ticker.PercentFormatter(1.0, decimals=0))
    if low is not None:
        set_limits = axes.set_xlim if which == "x" else axes.set_ylim
        set_limits(low, high)
    axes.grid(axis=which, color="#d8dee4", linewidth=0.6)
    axes.set_axisbelow(True)


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    # Without a date, the same run gives the same page.
    figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()
