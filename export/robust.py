"""The model's answers to what is no music."""

from __future__ import annotations

from dataclasses import dataclass

from serve.audio.frontend import FrontEnd
from train.evaluate import Predict
from train.hearing import features
from train.sounds import named


@dataclass(frozen=True, slots=True)
class Sound:
    """The answer to a sound that is no music."""

    name: str
    genre: str
    confidence: float


def sounds(predict: Predict, front_end: FrontEnd, genres: tuple[str, ...]) -> list[Sound]:
    """The model's answers to sounds that are no music, ten seconds of each."""
    found = []
    for name, samples in named(front_end.sample_rate).items():
        mean = predict(features(samples, front_end)).mean(axis=0)
        found.append(Sound(name, genres[int(mean.argmax())], float(mean.max())))
    return found
