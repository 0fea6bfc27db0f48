"""`classify`: the genre of files, folders and links, on the terminal."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.text import Text

from serve.errors import BadRequest, Internal, TopgenreError
from serve.genre_parts import changes, not_music
from serve.library.bars import Bars
from serve.library.results import CsvLines, JsonLines, Lines, Record, ResultsFile
from serve.library.run import LibraryRun, pipeline_for, report
from serve.library.tracks import ListedTrack, jobs_of, read_list
from serve.pipeline import Pipeline
from serve.settings import Settings
from serve.signals import signalled, until_signalled
from serve.text import one_line

_BAR_CELLS = 24
_CONTRADICTIONS = {("json", ".csv"), *(("csv", of) for of in (".json", ".jsonl", ".ndjson"))}
_GENRES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class ClassifyOptions:
    """The arguments of `classify`: tracks, lists of tracks, output format, results file."""

    tracks: Sequence[str] = ()
    lists: Sequence[str] = ()
    format: Literal["text", "json", "csv"] = "text"
    out: Path | None = None


def classify(settings: Settings, asked: ClassifyOptions) -> int:
    """Print the genre of each track as it finishes; returns the exit code: the last error's, or 0.

    As JSON, each result is an object like an answer or error of `POST /predict`, with the track as
    it was given under "track"; as CSV, each result is a row. With `out`, results are written to
    that file, and tracks that it already contains are skipped. Ctrl-C and SIGTERM keep finished
    results. Raises ModelFileError or DeviceError.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # its encoding may lack characters
        sys.stdout.reconfigure(errors="replace")
    try:
        _check_form(asked)
        listed = [track for name in asked.lists for track in read_list(name)]
        jobs = jobs_of([*asked.tracks, *listed])
        if not jobs:
            raise BadRequest("There is no track to classify.")
        return _classify(pipeline_for(settings), jobs, asked)
    except KeyboardInterrupt:
        return signalled(signal.SIGINT)
    except BrokenPipeError:  # the reader is gone: write nothing more, not even at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Internal.exit_code
    except (TopgenreError, OSError) as error:
        return report(error)


def _check_form(asked: ClassifyOptions) -> None:
    """Raise BadRequest if the format option contradicts the suffix of the results file."""
    suffix = asked.out.suffix.lower() if asked.out else ""
    if (asked.format, suffix) in _CONTRADICTIONS:
        raise BadRequest(
            f"--{asked.format} contradicts {asked.out}, whose name ends in {suffix}: "
            f"leave out --{asked.format}, or choose another name."
        )


def _classify(pipeline: Pipeline, jobs: list[ListedTrack], asked: ClassifyOptions) -> int:
    total = sum(len(job.tracks) for job in jobs)
    out, err = _Out(highlight=False, soft_wrap=True), Console(highlight=False, stderr=True)
    if asked.format == "text" and out.is_terminal and not asked.out:
        bars = Bars(out, total)  # sharing one console keeps bars and answers apart
    else:
        mixed = sys.stdout.isatty() and not asked.out
        bars = Bars(err, total, hidden=mixed)
    emit: Callable[[Record], None]
    with ExitStack() as stack:
        results = None
        if asked.out:
            lines = _lines(pipeline, asked.format == "csv" or asked.out.suffix.lower() == ".csv")
            results = stack.enter_context(ResultsFile(asked.out, lines, pipeline.model.sha256))
            emit = _nothing
        elif asked.format == "text":
            emit = _TextPrinter(out, in_full=total == 1)
        else:
            emit = _LinePrinter(out, _lines(pipeline, asked.format == "csv"))
        stack.enter_context(bars)
        code = asyncio.run(until_signalled(LibraryRun(pipeline, jobs, emit, bars, results).run))
    if asked.out:
        err.print(Text(one_line(f"{bars.summary}: {asked.out}")))
    return code


def _lines(pipeline: Pipeline, as_csv: bool) -> Lines:
    return CsvLines(pipeline.model.card.genres) if as_csv else JsonLines()


class _Out(Console):
    def on_broken_pipe(self) -> None:
        raise  # the BrokenPipeError being handled; rich would raise SystemExit


def _nothing(_: Record) -> None: ...


class _LinePrinter:
    """Prints records for machines."""

    def __init__(self, out: Console, lines: Lines) -> None:
        self._out, self._lines = out, lines
        if lines.head:
            self._write(lines.head)

    def __call__(self, record: Record) -> None:
        self._write(self._lines.format(record))

    def _write(self, line: str) -> None:
        # Not as rich's text: machines need lines with their markup and full width.
        self._out.out(line, end="", highlight=False)
        self._out.file.flush()


class _TextPrinter:
    """Prints records for people: one line each, or a single record `in_full`."""

    def __init__(self, out: Console, *, in_full: bool) -> None:
        self._out, self._in_full = out, in_full

    def __call__(self, record: Record) -> None:
        track = one_line(record["track"])
        if "code" in record:
            text = f"{track}: {one_line(record['error'])} ({record['code']})"
            self._out.print(Text(text, style="red"))
        elif self._in_full:
            self._out.print(_table(record))
        else:
            genre = record["top_prediction"]
            share = f"{record['results'][genre]:6.2f} %  "
            line = Text.assemble((f"{one_line(genre):12}", "bold"), share, track)
            if words := not_music(record) or changes(record):
                line.append(f"  {one_line(words)}", style="yellow")
            for warning in record.get("warnings", ()):  # older results have none
                line.append(f"  {one_line(warning)}", style="yellow")
            self._out.print(line)


def _table(record: Record) -> Text:
    genre, seconds = record["top_prediction"], record["timings_ms"]["total"] / 1000
    audio = f"{record['duration_s']:.0f} s of audio in {seconds:.2f} s"
    title = one_line(record["video_title"])
    text = Text.assemble((one_line(genre), "bold"), f"  {title}  ({audio})\n")
    for genre, percent in list(record["results"].items())[:_GENRES_SHOWN]:
        bar = "█" * round(percent / 100 * _BAR_CELLS)
        text.append(f"  {one_line(genre):12} {percent:6.2f} % {bar}\n")
    if words := not_music(record) or changes(record):
        text.append(f"  {one_line(words)}\n", style="yellow")
    for warning in record.get("warnings", ()):
        text.append(f"  {one_line(warning)}\n", style="yellow")
    if (tags := record["tags"]) and not not_music(record):
        text.append(one_line(f"  sounds like {', '.join(of['tag'] for of in tags)}") + "\n")
    return text
