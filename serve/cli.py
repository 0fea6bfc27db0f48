"""`classify`: the genre of files and links, on the terminal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.text import Text

from serve.errors import Internal, TopgenreError
from serve.http.replies import answer_body, error_body
from serve.pipeline import Answer, Pipeline
from serve.pipeline import Progress as Report
from serve.settings import Settings
from serve.sources.stream import AudioSource
from serve.sources.upload import FileSource

_BAR_CELLS = 24
_GENRES_SHOWN = 5
# How much of the whole way has been gone when a stage begins, and when it ends.
_STAGES = {
    "accepted": (0.0, 0.05),
    "found": (0.05, 0.1),
    "downloading": (0.1, 0.8),
    "listening": (0.1, 0.9),
    "classifying": (0.9, 1.0),
}


def classify(settings: Settings, tracks: list[str], *, as_json: bool) -> int:
    """Print the genre of each track, in order; the exit code is the last error's, or 0.

    `as_json` prints one object a line, in the form of `POST /predict`'s answers and errors, with
    the track as it was given under "track".
    """
    pipeline = Pipeline.from_settings(settings)
    return asyncio.run(_Classification(pipeline, tracks, as_json).run())


class _Classification:
    def __init__(self, pipeline: Pipeline, tracks: list[str], as_json: bool) -> None:
        self._pipeline = pipeline
        self._tracks = tracks
        self._as_json = as_json
        self._out = Console(highlight=False, soft_wrap=True)
        self._bars = Progress(
            SpinnerColumn(),
            BarColumn(),
            TextColumn("{task.fields[stage]:12} {task.description}", markup=False),
            # On a terminal, bars and answers go through one console, which keeps them apart.
            console=self._out if self._out.is_terminal else Console(stderr=True),
            transient=True,
            disable=as_json,
        )
        # One for each decoder, and one more to keep them fed.
        self._turns = asyncio.Semaphore(pipeline.decoders + 1)

    async def run(self) -> int:
        code = 0
        with self._bars:
            async with self._pipeline:
                outcomes = [asyncio.ensure_future(self._outcome(track)) for track in self._tracks]
                try:
                    for track, outcome in zip(self._tracks, outcomes, strict=True):
                        code = self._print(track, await outcome) or code
                finally:
                    for outcome in outcomes:
                        outcome.cancel()
                    await asyncio.gather(*outcomes, return_exceptions=True)
        return code

    async def _outcome(self, track: str) -> Answer | TopgenreError:
        async with self._turns:
            bar = self._bars.add_task(track, total=1.0, stage="")
            try:
                source = _source(self._pipeline, track)
                async with self._pipeline.deadline():
                    return await self._pipeline.classify(source, self._reporter(bar))
            except TopgenreError as error:
                return error
            except Exception as error:
                return Internal(f"{type(error).__name__}: {error}")
            finally:
                self._bars.remove_task(bar)

    def _reporter(self, bar: TaskID) -> Callable[[Report], None]:
        done = 0.0

        def report(progress: Report) -> None:
            nonlocal done
            start, end = _STAGES[progress.stage]
            # Stages overlap, and not each can tell its fraction; a bar that shrinks tells nothing.
            done = max(done, start + (end - start) * (progress.fraction or 0.0))
            self._bars.update(bar, completed=done, stage=progress.stage)

        return report

    def _print(self, track: str, outcome: Answer | TopgenreError) -> int:
        if isinstance(outcome, TopgenreError):
            body, code = error_body(outcome), outcome.exit_code
            text = Text(f"{track}: {outcome.message} ({outcome.code})", style="red")
        else:
            body, code = answer_body(outcome, self._pipeline.model), 0
            text = _table(outcome)
        if self._as_json:
            print(json.dumps({"track": track} | body, ensure_ascii=False), flush=True)
        else:
            self._out.print(text)
        return code


def _source(pipeline: Pipeline, track: str) -> AudioSource:
    path = Path(track)
    if "://" in track or not (path.exists() or path.suffix):
        return pipeline.video(track)
    return FileSource(path, pipeline.settings.max_body_bytes)


def _table(answer: Answer) -> Text:
    verdict = answer.verdict
    seconds = answer.timings_ms["total"] / 1000
    text = Text.assemble(
        (verdict.top, "bold"),
        f"  {answer.title}  ({answer.duration_s:.0f} s of audio in {seconds:.2f} s)\n",
    )
    for genre, percent in list(verdict.results.items())[:_GENRES_SHOWN]:
        bar = "█" * round(percent / 100 * _BAR_CELLS)
        text.append(f"  {genre:12} {percent:6.2f} % {bar}\n")
    return text
