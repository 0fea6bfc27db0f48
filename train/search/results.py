"""What a search has found so far: `search.json`, `search.csv` and `search.md`, best first."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Column, Table

from train.evaluation.crossvalidation import Spread, spread
from train.fitting.runs import Run, write_json, write_text
from train.search.space import By, Space

_SCORES: tuple[By, ...] = ("track_accuracy", "clip_accuracy", "track_loss")
_HEADER = (
    *("point", "differs in", "runs", "right tracks", "than the base"),
    *("right clips", "track loss", "seconds", "parameters"),
)

# What fits into 80 columns.
_SHORT = ("point", "differs in", "right tracks", "than the base", "seconds")


@dataclass(frozen=True, slots=True)
class Score:
    """What one finished run scored on its valid part."""

    run: str
    track_accuracy: float
    clip_accuracy: float
    track_loss: float
    """mean of -ln of the probability of the track's genre"""
    seconds: float
    parameters: int

    @classmethod
    def of(cls, run: Run) -> Score:
        """Of a finished run."""
        scores = {name: float(run.metrics["valid"][name]) for name in _SCORES}
        seconds, parameters = run.metrics["seconds"], run.metrics["parameters"]
        return cls(run=run.folder.name, seconds=seconds, parameters=parameters, **scores)


@dataclass(frozen=True, slots=True)
class Result:
    """A point of the search."""

    point: str
    differs: dict[str, Any]
    """fields that are unlike the default recipe, or front end"""
    runs: int
    """to be trained"""
    scores: tuple[Score, ...]
    """of those that are"""
    failed: str = ""
    """why one of its runs can't be trained"""

    @property
    def complete(self) -> bool:
        """Whether all of its runs are finished."""
        return len(self.scores) == self.runs

    def spread(self, name: str) -> Spread | None:
        """Mean and deviation of a score over its runs so far."""
        values = [float(getattr(score, name)) for score in self.scores]
        return spread(values) if values else None

    def gain(self, base: Result) -> Spread | None:
        """Right tracks more than those of the base, of the same seeds and folds."""
        others = {score.run: score.track_accuracy for score in base.scores}
        pairs = [s.track_accuracy - others[s.run] for s in self.scores if s.run in others]
        return spread(pairs) if pairs else None


def ranked(results: Sequence[Result], by: By) -> list[Result]:
    """Best first; after them those that are not complete, and those that failed."""

    def key(result: Result) -> tuple[bool, bool, float]:
        found = result.spread(by)
        mean = found.mean if found else 0.0
        return bool(result.failed), not result.complete, mean if by == "track_loss" else -mean

    return sorted(results, key=key)


def write(folder: Path, space: Space, data: str, results: Sequence[Result]) -> None:
    """Write the three files; `results` are in the order of their points, the base first."""
    best = ranked(results, space.search.by)
    points = [_flat(result, results[0]) for result in best]
    about = {"space": space.model_dump(mode="json"), "data": data}
    runs = [[asdict(score) for score in result.scores] for result in best]
    listed = [{**flat, "scores": of} for flat, of in zip(points, runs, strict=True)]
    write_json(folder / "search.json", {**about, "points": listed})
    write_text(folder / "search.csv", _csv(points))
    write_text(folder / "search.md", _page(space, data, results))


def table(space: Space, results: Sequence[Result]) -> Table:
    """For the terminal, best first."""
    short = [n for n, name in enumerate(_HEADER) if name in _SHORT]
    columns = (
        Column(_HEADER[n], justify="right" if n > 1 else "left", no_wrap=n > 1) for n in short
    )
    made = Table(*columns)
    for result in ranked(results, space.search.by):
        row = _row(space, result, results[0])
        made.add_row(*(escape(row[n]) for n in short))
    return made


def _page(space: Space, data: str, results: Sequence[Result]) -> str:
    terms = space.search
    judged = f"{terms.folds} artist folds" if terms.folds else "the valid tracks"
    lines = [
        f"# Search {space.name}",
        "",
        f"{data}. Points: {terms.method}. Each is trained with the seeds "
        f"{', '.join(map(str, terms.seeds))} and judged by {judged}, never by test; best first, "
        f"by {terms.by}. ± is the standard deviation over runs. *Than the base*: right tracks more "
        "than the first point's, run by run of the same seed and fold.",
        "",
        f"All points: {_fields(space.base) or 'the default recipe'}.",
        "",
        f"| {' | '.join(_HEADER)} |",
        f"|{'---|' * len(_HEADER)}",
    ]
    ordered = ranked(results, terms.by)
    lines += [f"| {' | '.join(_row(space, of, results[0]))} |" for of in ordered]
    return "\n".join(lines) + "\n"


def _row(space: Space, result: Result, base: Result) -> list[str]:
    own = {k: v for k, v in result.differs.items() if (k, v) not in space.base.items()}
    differs = _fields(own) or "nothing: the base"
    if result.failed:
        differs += f"; failed: {result.failed.replace('|', '/')}"
    tracks, clips, loss, seconds = (result.spread(n) for n in (*_SCORES, "seconds"))
    gain = result.gain(base) if result is not base else None
    return [
        result.point,
        differs,
        f"{len(result.scores)} of {result.runs}",
        str(tracks or "-"),
        f"{gain.mean:+.1%} ± {gain.deviation:.1%}" if gain else "-",
        str(clips or "-"),
        f"{loss.mean:.3f} ± {loss.deviation:.3f}" if loss else "-",
        f"{seconds.mean:.0f}" if seconds else "-",
        f"{result.scores[0].parameters:,}" if result.scores else "-",
    ]


def _fields(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _flat(result: Result, base: Result) -> dict[str, Any]:
    row: dict[str, Any] = {
        "point": result.point,
        "differs": result.differs,
        "runs": result.runs,
        "finished": len(result.scores),
        "failed": result.failed,
    }
    found = {name: result.spread(name) for name in (*_SCORES, "seconds")}
    for name, of in {**found, "gain": result.gain(base)}.items():
        row[name] = of.mean if of else None
        row[f"{name}_deviation"] = of.deviation if of else None
    row["parameters"] = result.scores[0].parameters if result.scores else None
    return row


def _csv(points: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(points[0]))
    writer.writeheader()
    writer.writerows({**point, "differs": _fields(point["differs"])} for point in points)
    return text.getvalue()
