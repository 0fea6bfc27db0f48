"""Results as tables for the terminal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Column, Table

from train.data.dataset import Dataset
from train.data.tracks import SPLITS

if TYPE_CHECKING:
    from train.evaluation.crossvalidation import Summary
    from train.evaluation.evaluation import Evaluation
    from train.fitting.runs import Run
    from train.scoring.scores import Scores


def contents(data: Dataset) -> Table:
    """Tracks of a dataset by genre and split."""
    count = Counter((track.genre, track.split) for track in data.tracks)
    splits = [split for split in SPLITS if any(track.split == split for track in data.tracks)]
    table = Table("genre", *splits, title=f"{data.source}, split {data.split_by}")
    for genre in data.genres:
        table.add_row(escape(genre), *(str(count[genre, split]) for split in splits))
    totals = [sum(count[genre, split] for genre in data.genres) for split in splits]
    table.add_section()
    table.add_row("all", *map(str, totals))
    return table


def scores(run: Run) -> Table:
    """The scores that a run recorded when it finished."""
    table = Table("split", "tracks", "clips", "right tracks", "right clips")
    for split in ("train", "valid"):
        if split not in run.metrics:
            continue  # a refit has no valid tracks
        of = run.metrics[split]
        right = f"{of['track_accuracy']:.1%}", f"{of['clip_accuracy']:.1%}"
        table.add_row(split, str(of["tracks"]), str(of["clips"]), *right)
    return table


def evaluation(result: Evaluation) -> Table:
    """Accuracy of an evaluation."""
    table = Table("part", "tracks", "clips", "right tracks", "right clips", "track loss")
    of = result.scores
    right = f"{of.track_accuracy:.1%}", f"{of.clip_accuracy:.1%}", f"{of.track_loss:.3f}"
    table.add_row(result.part, str(of.tracks), str(of.clips), *right)
    return table


def confusion(of: Scores, genres: tuple[str, ...]) -> Table:
    """Tracks by genre (row) and answer (column)."""
    # Ten genres fit into 80 columns.
    columns = [Column(escape(genre[:5]), justify="right", no_wrap=True) for genre in genres]
    ends = Column("genre", no_wrap=True), Column("right", justify="right", no_wrap=True)
    title = "tracks by genre (row) and answer (column)"
    table = Table(ends[0], *columns, ends[1], title=title, box=None, padding=(0, 0, 0, 1))
    for genre, row in zip(genres, of.confusion, strict=True):
        right = f"{of.recall[genre]:.0%}" if genre in of.recall else "-"
        table.add_row(escape(genre), *(str(number) if number else "·" for number in row), right)
    return table


def folds(summary: Summary) -> Table:
    """Accuracy of each fold, mean and spread."""
    table = Table("fold", "tracks", "right tracks", "right clips")
    for fold in summary.folds:
        right = f"{fold.track_accuracy:.1%}", f"{fold.clip_accuracy:.1%}"
        table.add_row(fold.name, str(fold.tracks), *right)
    table.add_section()
    tracks, clips = summary.track_accuracy, summary.clip_accuracy
    table.add_row("mean ± spread", "", f"{tracks}", f"{clips}")
    return table
