"""What a search has found so far: `search.json`, `search.csv` and `search.md`, best first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Column, Table

from train.evaluation.crossvalidation import spread
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
    """A point of the search; `scores` are those of its runs that are finished."""

    point: str
    differs: dict[str, Any]
    """fields that the space sets, and their values"""
    runs: int
    scores: list[dict[str, Any]]
    failed: str
    """why one of its runs can't be trained; empty where all can"""

    def value(self, name: str) -> float | None:
        """The mean of a score over its runs; None for a failed point."""
        return None if self.failed or not self.scores else spread(self._values(name)).mean

    def row(self, base: Result) -> dict[str, Any]:
        """Plain values; `gain` is in right tracks over the base, run by run."""
        others = {score["run"]: score["track_accuracy"] for score in base.scores}
        pairs = [(score, others.get(score["run"])) for score in self.scores if self is not base]
        gains = [score["track_accuracy"] - other for score, other in pairs if other is not None]
        values = {name: self._values(name) for name in (*_SCORES, "seconds")} | {"gain": gains}
        row = {
            **{"point": self.point, "differs": self.differs, "runs": self.runs},
            **{"finished": len(self.scores), "failed": self.failed},
        }
        for name, of in values.items():
            found = spread(of) if of else None
            row |= {name: found and found.mean, f"{name}_deviation": found and found.deviation}
        parameters = self.scores[0]["parameters"] if self.scores else None
        return {**row, "parameters": parameters, "scores": self.scores}

    def _values(self, name: str) -> list[float]:
        return [score[name] for score in self.scores]


def score(run: Run) -> dict[str, Any]:
    """What a finished run scored on its valid part.

    `track_loss` is the mean of -ln of the probability of the track's genre.
    """
    scores = {name: run.metrics["valid"][name] for name in _SCORES}
    about = {name: run.metrics[name] for name in ("seconds", "parameters")}
    return {"run": run.folder.name, **scores, **about}


def ranked(space: Space, results: Sequence[Result]) -> list[dict[str, Any]]:
    """A row for each result, best first, then the incomplete and the failed ones.

    `results` are in the order of their points, the base first.
    """
    sign = 1.0 if space.search.by == "track_loss" else -1.0

    def key(result: Result) -> tuple[bool, bool, float]:
        value = result.value(space.search.by) or 0.0
        return bool(result.failed), len(result.scores) < result.runs, sign * value

    return [result.row(results[0]) for result in sorted(results, key=key)]


def write(folder: Path, space: Space, data: str, rows: Sequence[dict[str, Any]]) -> None:
    """Write the three files; `rows` as `ranked` gives them."""
    about = {"space": space.model_dump(mode="json"), "data": data}
    write_json(folder / "search.json", {**about, "points": rows})
    flat = [{**row, "differs": _listed(row["differs"])} for row in rows]
    write_csv(folder / "search.csv", [name for name in flat[0] if name != "scores"], flat)
    write_text(folder / "search.md", _page(space, data, rows))


def table(space: Space, rows: Sequence[dict[str, Any]]) -> Table:
    """For the terminal."""
    made = Table(
        *(Column(_HEADER[n], justify="left" if n < 2 else "right", no_wrap=n > 1) for n in _SHORT)
    )
    for row in rows:
        cells = _cells(space, row)
        made.add_row(*(escape(cells[n]) for n in _SHORT))
    return made


def _page(space: Space, data: str, rows: Sequence[dict[str, Any]]) -> str:
    terms = space.search
    scored = f"{terms.folds} artist folds" if terms.folds else "the valid tracks"
    lines = (_HEADER, ["---"] * len(_HEADER), *(_cells(space, row) for row in rows))
    return f"""# Search {space.name}

{data}. Points: {terms.method}. Each is trained with the seeds {", ".join(map(str, terms.seeds))} \
and scored on {scored}, never on test; best first, by {terms.by}. ± is the standard deviation over \
runs. *Than the base*: the gain in right tracks over the first point, between runs of the same \
seed and fold.

All points: {_listed(space.base) or "the default recipe"}.

""" + "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _cells(space: Space, row: dict[str, Any]) -> list[str]:
    def cell(name: str, mean: str, deviation: str = "") -> str:
        if row[name] is None:
            return "-"
        return f"{row[name]:{mean}}" + (deviation and f" ± {row[f'{name}_deviation']:{deviation}}")

    own = {k: v for k, v in row["differs"].items() if (k, v) not in space.base.items()}
    failed = f"; failed: {row['failed'].replace('|', '/')}" if row["failed"] else ""
    return [
        row["point"],
        (_listed(own) or "nothing: the base") + failed,
        f"{row['finished']} of {row['runs']}",
        cell("track_accuracy", ".1%", ".1%"),
        cell("gain", "+.1%", ".1%"),
        cell("clip_accuracy", ".1%", ".1%"),
        cell("track_loss", ".3f", ".3f"),
        cell("seconds", ".0f"),
        cell("parameters", ",d"),
    ]


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
