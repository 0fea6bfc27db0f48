"""The exported model on real audio, through the server's own signal path."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from serve.audio.frontend import FrontEnd
from serve.inference.outputs import Outputs
from train.evaluation.held_out import HeldOutFile, usable
from train.scoring.scores import Predict, Scores, score


@dataclass(frozen=True, slots=True)
class Heard:
    """Scores of the tracks of one split and one sample rate."""

    split: str
    source_hz: int
    audio: Scores


@dataclass(frozen=True, slots=True)
class HeardTrack:
    """The model's outputs for one track's clips."""

    track: str
    genre: str
    split: str
    source_hz: int
    clips: Outputs


def listen(
    predict: Predict,
    front_end: FrontEnd,
    heard: Iterable[HeldOutFile],
    advance: Callable[[], None],
) -> list[HeardTrack]:
    """Answers for the usable ones of these files. `advance` is called for each file."""
    return [
        HeardTrack(of.file.track, of.file.genre, of.file.split, of.source_hz, predict(of.mel))
        for of in usable(heard, front_end, advance)
    ]


def group(answers: list[HeardTrack], genres: tuple[str, ...]) -> list[Heard]:
    """Scores by split and sample rate."""
    table = []
    for split, source_hz in sorted({(a.split, a.source_hz) for a in answers}, reverse=True):
        of = [a for a in answers if (a.split, a.source_hz) == (split, source_hz)]
        audio = score(((genres.index(a.genre), a.clips) for a in of), genres)
        table.append(Heard(split, source_hz, audio))
    return table
