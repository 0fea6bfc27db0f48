"""The model's answers to non-music."""

from __future__ import annotations

from dataclasses import dataclass

from serve.audio.frontend import FrontEnd
from serve.inference.outputs import track_music, track_probabilities
from train.data.sounds import named
from train.evaluation.held_out import features
from train.scoring.scores import Predict


@dataclass(frozen=True, slots=True)
class Sound:
    """The answer to a non-music sound."""

    name: str
    music: float
    """the probability that it is music, 0 to 1"""
    genre: str
    confidence: float


def sounds(predict: Predict, front_end: FrontEnd, genres: tuple[str, ...]) -> list[Sound]:
    """The model's answers to non-music sounds, ten seconds of each."""
    found = []
    for name, samples in named(front_end.sample_rate).items():
        clips = predict(features(samples, front_end))
        share = track_probabilities(clips)
        music = track_music(clips.music)
        found.append(Sound(name, music, genres[int(share.argmax())], float(share.max())))
    return found
