"""The exported model on real audio, through the server's own signal path."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
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


def listen(
    predict: Predict,
    front_end: FrontEnd,
    files: Iterable[HeldOutFile],
    genres: tuple[str, ...],
) -> list[Heard]:
    """Scores on the usable ones of these files, by split and sample rate."""
    answers: dict[tuple[str, int], list[tuple[int, Outputs]]] = defaultdict(list)
    for of in usable(files, front_end):
        answer = genres.index(of.file.genre), predict(of.mel)
        answers[of.file.split, of.source_hz].append(answer)
    rows = sorted(answers.items(), key=lambda row: row[0], reverse=True)
    return [Heard(*key, score(of, genres)) for key, of in rows]
