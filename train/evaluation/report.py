"""The page about a run: one self-contained HTML file."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from train.evaluation import figures
from train.evaluation.evaluation import Evaluation
from train.evaluation.robustness import Changed
from train.fitting.runs import Run
from train.scoring.measures import GenreScore, Reliability, by_length, per_genre, reliability

_WORST = 20
_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #24292f; background: #fff;
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
dl { display: flex; flex-wrap: wrap; gap: .5rem 2.5rem; margin: 1.5rem 0; }
dt { color: #57606a; font-size: .85rem; } dd { margin: 0; font-size: 1.4rem; font-weight: 600; }
img { max-width: 100%; height: auto; display: block; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .8rem; border-bottom: 1px solid #d8dee4; }
th.n, td.n { text-align: right; } td + td { overflow-wrap: anywhere; }
.note { color: #57606a; } .warning { border-left: 4px solid #d55e00; padding-left: .8rem; }
"""
_FLATTERING = {
    "by chance": "The split is random: artists are on both sides, so these scores are too high.",
    "by chance, clip by clip": (
        "Clips of the same tracks are on both sides: these scores show how well tracks are "
        "recognised again, not genres."
    ),
}


def page(run: Run, result: Evaluation, changed: Sequence[Changed] = ()) -> str:
    """The page of a run, its evaluation, and the effect of audio changes on its answers."""
    genres = per_genre(result.scores.confusion, run.genres)
    tracks = reliability(result.track_probabilities, result.labels)
    parts = [
        _head(run, result, tracks),
        _section(
            "Confusion matrix",
            "Tracks by genre (row) and answer (column); the shade is the share of the row.",
            _image(figures.confusion(result.scores.confusion, run.genres), "confusion matrix"),
        ),
        _section(
            "Genres",
            "Precision: how often an answer is right. Recall: how often a genre is found.",
            _image(figures.per_genre(genres), "precision and recall"),
            _genre_table(genres),
        ),
        _section(
            "Reliability",
            "On the dashed line, confidence equals accuracy. ECE: expected calibration error, the "
            "mean gap between confidence and accuracy over ten bins. The exported model has a "
            "temperature, which closes most of the tracks' gap.",
            _image(figures.reliability([("tracks", tracks), ("clips", _clips(result))]), "ECE"),
        ),
        _section(
            "Length",
            "Accuracy with only so many consecutive clips of each track, over all the places they "
            "can be taken from.",
            _image(figures.length(by_length(result.answers), result.clip_s), "length"),
        ),
        _section(
            "Codecs and other changes of the audio",
            "Valid tracks whose audio was changed: how many have another first genre than before, "
            "the mean change of the probability of the genre that was first, and how many are "
            "right.",
            _changes(changed, run),
        ),
        _section("Learning", "", _learning(run)),
        _section(
            "Worst-confused tracks",
            "Wrong tracks with the lowest probability of their own genre.",
            _worst(result),
        ),
        _section("How it was made", "", _made(run)),
    ]
    title = f"topgenre run {escape(run.folder.name)}"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head>\n<body><h1>{title}</h1>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _head(run: Run, result: Evaluation, tracks: Reliability) -> str:
    of, about = result.scores, run.config["data"]
    error = np.sqrt(of.track_accuracy * (1.0 - of.track_accuracy) / of.tracks)
    facts = {
        "right tracks": f"{of.track_accuracy:.1%} ± {error:.1%}",
        "right clips": f"{of.clip_accuracy:.1%}",
        "track ECE": f"{tracks.ece:.3f}",
        "parameters": f"{run.metrics['parameters']:,}",
    }
    items = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts.items())
    warning = _FLATTERING.get(result.split_by, "")
    return (
        f"<p class=note>{escape(about['about'] or about['source'])}; split "
        f"{escape(result.split_by)}; {of.tracks} tracks and {of.clips:,} clips "
        f"of {escape(result.part)}, clips of {result.clip_s:.2g} s. ± is one standard error "
        "of so many tracks.</p>"
        + (f"<p class=warning>{escape(warning)}</p>" if warning else "")
        + f"<dl>{items}</dl>"
    )


def _clips(result: Evaluation) -> Reliability:
    probabilities = np.concatenate([answer.clips.probabilities for answer in result.answers])
    lengths = [len(answer.clips) for answer in result.answers]
    return reliability(probabilities, np.repeat(result.labels, lengths))


def _genre_table(genres: list[GenreScore]) -> str:
    rows = [[g.genre, str(g.tracks), _percent(g.precision), _percent(g.recall)] for g in genres]
    return _table(["genre", "tracks", "precision", "recall"], rows, numbers=3)


def _changes(changed: Sequence[Changed], run: Run) -> str:
    if not changed:
        command = escape(f"python -m train report {run.folder} --audio FOLDER")
        return (
            "<p class=note>Not measured: the audio of these tracks is not known. "
            f"<code>{command}</code> measures it, with a folder of genre/track audio files.</p>"
        )
    header = ["change", "tracks", "other genre", "moved by", "right before", "right after"]
    rows = [
        [
            row.change,
            str(row.tracks),
            f"{row.moved / row.tracks:.1%}",
            f"{row.drift:.3f}",
            f"{row.right_before / row.tracks:.1%}",
            f"{row.right / row.tracks:.1%}",
        ]
        for row in changed
    ]
    return _table(header, rows, numbers=5)


def _learning(run: Run) -> str:
    history = run.metrics.get("history", [])
    if not any("valid_track_accuracy" in row for row in history):
        return "<p class=note>The run has no history of epochs.</p>"
    return _image(figures.learning(history), "learning curves")


def _worst(result: Evaluation) -> str:
    probabilities = result.track_probabilities
    wrong = []
    for answer, mean in zip(result.answers, probabilities, strict=True):
        best = int(mean.argmax())
        if best != answer.label:
            wrong.append((float(mean[answer.label]), answer, best, float(mean[best])))
    wrong.sort(key=lambda entry: (entry[0], entry[1].track.track))
    rows = [
        [
            answer.track.track,
            result.genres[answer.label],
            _percent(own),
            result.genres[best],
            _percent(confidence),
            f"{(answer.clips.probabilities.argmax(axis=1) == answer.label).mean():.0%}",
        ]
        for own, answer, best, confidence in wrong[:_WORST]
    ]
    if not rows:
        return "<p class=note>No track is wrong.</p>"
    header = ["track", "genre", "its probability", "answer", "its probability", "right clips"]
    return f"<p class=note>{len(wrong)} wrong in all.</p>" + _table(header, rows)


def _made(run: Run) -> str:
    config = run.config
    rows = [["git", str(config["git"])], ["data", config["data"]["sha256"]]]
    rows += [["trained for", f"{run.metrics['seconds']:.0f} s"]]
    for part in ("recipe", "hardware", "front_end", "versions"):
        rows += _flat(part, config.get(part, {}))
    return _table(["", ""], rows)


def _flat(name: str, value: Any) -> list[list[str]]:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        value = {str(number): inner for number, inner in enumerate(value, start=1)}
    if isinstance(value, dict):
        return [row for key, inner in value.items() for row in _flat(f"{name}.{key}", inner)]
    return [[name, str(value)]]


def _section(title: str, note: str, *parts: str) -> str:
    head = f"<h2>{title}</h2>" + (f"<p class=note>{note}</p>" if note else "")
    return head + "".join(parts)


def _image(svg: str, about: str) -> str:
    data = base64.b64encode(svg.encode()).decode()
    return f'<img alt="{about}" src="data:image/svg+xml;base64,{data}">'


def _table(header: list[str], rows: list[list[str]], numbers: int = 0) -> str:
    """A table; its last `numbers` columns are right-aligned."""

    def line(tag: str, cells: list[str]) -> str:
        right = len(cells) - numbers
        marks = [' class="n"' if number >= right else "" for number in range(len(cells))]
        inner = "".join(
            f"<{tag}{mark}>{escape(cell)}</{tag}>" for mark, cell in zip(marks, cells, strict=True)
        )
        return f"<tr>{inner}</tr>"

    head = line("th", header) if any(header) else ""
    body = "".join(line("td", row) for row in rows)
    return f'<div class="wide"><table>{head}{body}</table></div>'


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"
