"""What a search has found so far: `search.json`, `search.csv` and `search.md`, best first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Column, Table

from train.evaluation.crossvalidation import Spread, spread
from train.fitting.runs import Run, write_csv, write_json, write_text
from train.search.space import Space

_SCORES = ("track_accuracy", "clip_accuracy", "track_loss")
_HEADER = (
    *("point", "differs in", "runs", "right tracks", "than the base"),
    *("right clips", "track loss", "seconds", "parameters"),
)
_SHORT = (0, 1, 3, 4, 7)
"""the columns that fit into 80 characters"""


@dataclass(frozen=True, slots=True)
class Result:
    """A point of the search; `scores` are those of the finished ones of its `runs`."""

    point: str
    differs: dict[str, Any]
    """fields that are unlike the default recipe, or front end"""
    runs: int
    scores: list[dict[str, Any]]
    failed: str
    """why one of its runs can't be trained; empty where all can"""

    def spread(self, name: str) -> Spread | None:
        """Mean and deviation of a score over its runs so far."""
        return spread([score[name] for score in self.scores]) if self.scores else None

    def flat(self, base: Result) -> dict[str, Any]:
        """As a row of plain values."""
        others = {score["run"]: score["track_accuracy"] for score in base.scores}
        gains = [s["track_accuracy"] - others[s["run"]] for s in self.scores if s["run"] in others]
        means = {name: self.spread(name) for name in (*_SCORES, "seconds")}
        row = {
            **{"point": self.point, "differs": self.differs, "runs": self.runs},
            **{"finished": len(self.scores), "failed": self.failed},
        }
        for name, of in (*means.items(), ("gain", spread(gains) if gains else None)):
            row |= {name: of and of.mean, f"{name}_deviation": of and of.deviation}
        return {**row, "parameters": self.scores[0]["parameters"] if self.scores else None}


def score(run: Run) -> dict[str, Any]:
    """What a finished run scored on its valid part.

    `track_loss` is the mean of -ln of the probability of the track's genre.
    """
    scores = {name: run.metrics["valid"][name] for name in _SCORES}
    about = {name: run.metrics[name] for name in ("seconds", "parameters")}
    return {"run": run.folder.name, **scores, **about}


def write(folder: Path, space: Space, data: str, results: Sequence[Result]) -> None:
    """Write the three files; `results` are in the order of their points, the base first."""
    best = _ranked(space, results)
    rows = [result.flat(results[0]) for result in best]
    points = [{**row, "scores": of.scores} for row, of in zip(rows, best, strict=True)]
    about = {"space": space.model_dump(mode="json"), "data": data}
    write_json(folder / "search.json", {**about, "points": points})
    flat = ({**row, "differs": _fields(row["differs"])} for row in rows)
    write_csv(folder / "search.csv", list(rows[0]), flat)
    write_text(folder / "search.md", _page(space, data, results))


def table(space: Space, results: Sequence[Result]) -> Table:
    """For the terminal, best first."""
    made = Table(
        *(Column(_HEADER[n], justify="left" if n < 2 else "right", no_wrap=n > 1) for n in _SHORT)
    )
    for cells in _cells(space, results):
        made.add_row(*(escape(cells[n]) for n in _SHORT))
    return made


def _ranked(space: Space, results: Sequence[Result]) -> list[Result]:
    """Best first; after them those that are not complete, and those that failed."""
    sign = 1.0 if space.search.by == "track_loss" else -1.0

    def key(result: Result) -> tuple[bool, bool, float]:
        found = result.spread(space.search.by)
        worth = sign * found.mean if found else 0.0
        return bool(result.failed), len(result.scores) < result.runs, worth

    return sorted(results, key=key)


def _page(space: Space, data: str, results: Sequence[Result]) -> str:
    terms = space.search
    judged = f"{terms.folds} artist folds" if terms.folds else "the valid tracks"
    return f"""# Search {space.name}

{data}. Points: {terms.method}. Each is trained with the seeds {", ".join(map(str, terms.seeds))} \
and judged by {judged}, never by test; best first, by {terms.by}. ± is the standard deviation over \
runs. *Than the base*: right tracks more than the first point's, run by run of the same seed and \
fold.

All points: {_fields(space.base) or "the default recipe"}.

""" + "".join(
        f"| {' | '.join(cells)} |\n"
        for cells in (_HEADER, ["---"] * len(_HEADER), *_cells(space, results))
    )


def _cells(space: Space, results: Sequence[Result]) -> list[list[str]]:
    return [_row(space, of, results[0]) for of in _ranked(space, results)]


def _row(space: Space, result: Result, base: Result) -> list[str]:
    row = result.flat(base)

    def cell(name: str, mean: str, deviation: str = "") -> str:
        if row[name] is None:
            return "-"
        return f"{row[name]:{mean}}" + (deviation and f" ± {row[f'{name}_deviation']:{deviation}}")

    own = {k: v for k, v in result.differs.items() if (k, v) not in space.base.items()}
    failed = f"; failed: {result.failed.replace('|', '/')}" if result.failed else ""
    return [
        result.point,
        (_fields(own) or "nothing: the base") + failed,
        f"{len(result.scores)} of {result.runs}",
        cell("track_accuracy", ".1%", ".1%"),
        cell("gain", "+.1%", ".1%") if result is not base else "-",
        cell("clip_accuracy", ".1%", ".1%"),
        cell("track_loss", ".3f", ".3f"),
        cell("seconds", ".0f"),
        cell("parameters", ",d"),
    ]


def _fields(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
