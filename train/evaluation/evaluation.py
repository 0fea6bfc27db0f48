"""Scores of a run on one part of a dataset, with every track's answer."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from serve.inference.outputs import Float64, track_music
from train.data.dataset import Dataset
from train.errors import DataError
from train.fitting.fit import predictor
from train.fitting.runs import Run, write_json
from train.progress import bar
from train.scoring.measures import per_genre, reliability
from train.scoring.scores import Scores, TrackOutputs, answers, score


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The outputs of a run's model for the tracks of one part, and their scores."""

    run: str
    part: str
    """train, valid, test, none or all"""
    data_digest: str
    split_by: str
    clip_s: float
    genres: tuple[str, ...]
    scores: Scores
    answers: tuple[TrackOutputs, ...]

    @property
    def labels(self) -> np.ndarray[tuple[int], np.dtype[np.int_]]:
        """Column of each track's genre (tracks,)."""
        return np.array([answer.label for answer in self.answers])

    @property
    def track_probabilities(self) -> Float64:
        """The probabilities of each track (tracks, genres)."""
        return np.stack([answer.probabilities for answer in self.answers])

    def to_dict(self) -> dict[str, Any]:
        """As a dictionary of plain values."""
        calibration = reliability(self.track_probabilities, self.labels)
        return {
            "run": self.run,
            "part": self.part,
            "data": {"sha256": self.data_digest, "split": self.split_by},
            "genres": list(self.genres),
            **self.scores.to_dict(),
            "precision": {
                g.genre: g.precision for g in per_genre(self.scores.confusion, self.genres)
            },
            "expected_calibration_error": calibration.ece,
            "answers": [self._track(answer) for answer in self.answers],
        }

    def _track(self, answer: TrackOutputs) -> dict[str, Any]:
        probabilities = answer.probabilities
        return {
            "track": answer.track.track,
            "genre": self.genres[answer.label],
            "answer": self.genres[int(probabilities.argmax())],
            "clips": len(answer.clips),
            "music": round(track_music(answer.clips.music), 4),
            "probabilities": [round(float(value), 5) for value in probabilities],
        }


def evaluate_run(run: Run, data: Dataset, part: str, console: Console) -> Evaluation:
    """Evaluate a finished run; raise DataError if the data don't fit its model."""
    data = _fitting(run, data)
    tracks = data.tracks if part == "all" else data.of(part)
    predict = predictor(run.model())
    with bar(console) as progress:
        heard = answers(predict, data, tracks)
        found = tuple(progress.track(heard, total=len(tracks), description="evaluating"))
    return Evaluation(
        run=run.folder.name,
        part=part,
        data_digest=data.digest,
        split_by=data.split_by,
        clip_s=data.front_end.clip_s,
        genres=run.genres,
        scores=score(((a.label, a.clips) for a in found), run.genres),
        answers=found,
    )


def save(result: Evaluation, folder: Path) -> Path:
    """Write the evaluation as JSON into the run's folder."""
    path = folder / f"evaluation-{result.part}.json"
    write_json(path, result.to_dict())
    return path


def _fitting(run: Run, data: Dataset) -> Dataset:
    if data.front_end != run.front_end:
        has, needs = asdict(data.front_end), asdict(run.front_end)
        wrong = ", ".join(f"{name} {has[name]}" for name in has if has[name] != needs[name])
        raise DataError(f"the data were made with another front end than the model's: {wrong}")
    if unknown := set(data.genres) - set(run.genres):
        raise DataError(f"the model does not know {', '.join(sorted(unknown))}")
    return replace(data, genres=run.genres)
