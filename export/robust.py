"""How steady the model's answers are: under changes of the audio, and on what is no music."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from export.changes import CHANGES, Change, low_passed
from export.listen import features
from serve.audio.frontend import FrontEnd
from serve.audio.mel import Float32
from train.evaluate import Predict


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change did to the answers of a set of tracks."""

    change: str
    tracks: int
    moved: int
    """tracks whose first genre is another one"""
    right: int
    """tracks whose first genre is right all the same"""
    right_before: int


@dataclass(frozen=True, slots=True)
class Sound:
    """The answer to a sound that is no music."""

    name: str
    genre: str
    confidence: float


def robustness(
    predict: Predict,
    front_end: FrontEnd,
    tracks: Iterable[tuple[int, Float32]],
    changes: dict[str, Change] = CHANGES,
    advance: Callable[[], None] = lambda: None,
) -> list[Changed]:
    """Answers to tracks, each a label and samples at the front end's rate, under each change."""

    def answer(samples: Float32) -> int:
        return int(predict(features(samples, front_end)).mean(axis=0).argmax())

    answers: list[list[int]] = []
    for label, samples in tracks:
        changed = (change(samples, front_end.sample_rate) for change in changes.values())
        answers.append([label, answer(samples), *map(answer, changed)])
        advance()
    table = np.array(answers, int).reshape(-1, 2 + len(changes))
    labels, before, after = table[:, 0], table[:, 1], table[:, 2:]
    return [
        Changed(
            change=name,
            tracks=len(table),
            moved=int((after[:, n] != before).sum()),
            right=int((after[:, n] == labels).sum()),
            right_before=int((before == labels).sum()),
        )
        for n, name in enumerate(changes)
    ]


def sounds(predict: Predict, front_end: FrontEnd, genres: tuple[str, ...]) -> list[Sound]:
    """The model's answers to sounds that are no music, ten seconds of each."""
    found = []
    for name, samples in _no_music(front_end.sample_rate).items():
        mean = predict(features(samples, front_end)).mean(axis=0)
        found.append(Sound(name, genres[int(mean.argmax())], float(mean.max())))
    return found


def _no_music(rate: int, seconds: float = 10.0) -> dict[str, Float32]:
    rng = np.random.default_rng(0)
    t = np.arange(round(seconds * rate)) / rate
    white = rng.standard_normal(len(t))
    brown = np.cumsum(white)
    brown -= np.linspace(brown[0], brown[-1], len(t))
    # Speech has most of its power below 1 kHz and comes in syllables, four a second.
    syllables = np.maximum(0.0, np.sin(2 * np.pi * 4.0 * t)) ** 0.5
    speech = low_passed(white.astype(np.float32), rate, hz=1000.0) * syllables
    made = {
        "all but silence (dither)": 2e-4 * np.sign(white),
        "white noise": 0.1 * white,
        "brown noise": 0.3 * brown / np.abs(brown).max(),
        "speech-like noise": 0.3 * speech,
        "tone of 440 Hz": 0.3 * np.sin(2 * np.pi * 440.0 * t),
        "tone of 3 kHz": 0.3 * np.sin(2 * np.pi * 3000.0 * t),
        "sweep": 0.3 * np.sin(2 * np.pi * (100.0 + 200.0 * t) * t),
    }
    return {name: samples.astype(np.float32) for name, samples in made.items()}
