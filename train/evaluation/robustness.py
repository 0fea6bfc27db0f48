"""How steady a model's answers are under changes of the audio."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from serve.audio.frontend import FrontEnd
from serve.audio.mel import Float32
from serve.inference.outputs import track_probabilities
from train.data.splits import read
from train.errors import DataError
from train.evaluation.changes import CHANGES, Change
from train.evaluation.held_out import features, files, usable
from train.progress import Advance, counted
from train.scoring.scores import Predict

if TYPE_CHECKING:
    from train.fitting.runs import Run

_FILE = "changes.json"


@dataclass(frozen=True, slots=True)
class Changed:
    """The effect of a change on the answers for a set of tracks."""

    change: str
    tracks: int
    moved: int
    """tracks whose first genre changed"""
    right: int
    """tracks whose first genre is right after the change"""
    right_before: int
    drift: float
    """mean absolute change of the probability of the genre that was first"""


def robustness(
    predict: Predict,
    front_end: FrontEnd,
    tracks: Iterable[tuple[int, Float32]],
    changes: dict[str, Change] = CHANGES,
) -> list[Changed]:
    """The effect of each change on tracks, given as labels and samples at the front end's rate.

    Raises DataError if there are none.
    """
    labels, answers = [], []
    for label, samples in tracks:
        changed = (change(samples, front_end.sample_rate) for change in changes.values())
        heard = [features(of, front_end) for of in (samples, *changed)]
        answers.append([track_probabilities(predict(of)) for of in heard])
        labels.append(label)
    if not answers:
        raise DataError("none of the audio files can be used")
    probabilities = np.array(answers)  # (tracks, 1 + changes, genres)
    first = probabilities.argmax(axis=2)
    right = first == np.array(labels)[:, None]
    of_first = np.take_along_axis(probabilities, first[:, :1, None], axis=2)[:, :, 0]
    return [
        Changed(
            change=name,
            tracks=len(labels),
            moved=int((first[:, n] != first[:, 0]).sum()),
            right=int(right[:, n].sum()),
            right_before=int(right[:, 0].sum()),
            drift=float(np.abs(of_first[:, n] - of_first[:, 0]).mean()),
        )
        for n, name in enumerate(changes, 1)
    ]


def run_robustness(run: Run, predict: Predict, audio: Path, advance: Advance) -> list[Changed]:
    """The effect of changes on the run's valid tracks, from a folder of `genre/track` audio files.

    Measured once per folder and set of changes, and kept in the run's folder. `advance` gets the
    number of tracks done and their total. Raises DataError if the folder has none of the tracks.
    """
    kept = run.folder / _FILE
    if kept.is_file():
        found = json.loads(kept.read_text(encoding="utf-8"))
        known = [Changed(**row) for row in found["changes"]]
        if found["audio"] == str(audio.absolute()) and [of.change for of in known] == [*CHANGES]:
            return known
    valid = [f for f in files(audio, read(run.tracks)) if f.split == "valid"]
    if not valid:
        raise DataError(f"{audio} has no audio file of the run's valid tracks")
    found = usable(counted(valid, advance), run.front_end)
    tracks = ((run.genres.index(of.file.genre), of.samples) for of in found)
    changes = robustness(predict, run.front_end, tracks)
    rows = [asdict(row) for row in changes]
    from train.fitting.runs import write_json

    write_json(kept, {"audio": str(audio.absolute()), "changes": rows})
    return changes
