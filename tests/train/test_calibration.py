from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from serve.audio.mel import Float32
from serve.inference.outputs import Outputs
from tests.outputs import said as outputs
from train.scoring.calibration import best_temperature, of_tracks
from train.scoring.measures import reliability


@dataclass(frozen=True)
class Said:
    label: int
    clips: Outputs


def tempered(probabilities: Float32, temperature: float) -> Float32:
    """Rows to the power of an inverse temperature, each made to sum to 1."""
    powers = np.maximum(probabilities, 1e-6).astype(np.float64) ** (1.0 / temperature)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def answers(tracks: int, temperature: float, seed: int = 0) -> list[Said]:
    """Tracks of one clip that are right as often as they say, made too sure by a temperature."""
    rng = np.random.default_rng(seed)
    honest = rng.dirichlet(np.ones(4) * 0.7, tracks).astype(np.float32)
    labels = [int(rng.choice(4, p=p / p.sum())) for p in honest.astype(np.float64)]
    said = tempered(honest, temperature)
    return [Said(label, outputs(p[None])) for label, p in zip(labels, said, strict=True)]


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_the_temperature_is_found_again(temperature: float) -> None:
    assert best_temperature(answers(4000, temperature)) == pytest.approx(1 / temperature, rel=0.1)


def test_clips_that_agree_make_a_track_surer() -> None:
    clips = np.array([[0.8, 0.2], [0.6, 0.4]], np.float32)
    ((one, _),) = of_tracks([Said(0, outputs(clips))], 1.0)
    ((sharper, _),) = of_tracks([Said(0, outputs(clips))], 0.5)
    odds = np.sqrt((0.8 / 0.2) * (0.6 / 0.4))
    assert one / (1.0 - one) == pytest.approx(odds, rel=1e-5)
    assert sharper / (1.0 - sharper) == pytest.approx(odds**2, rel=1e-5)


def test_of_temperatures_as_likely_the_best_calibrated_is_taken() -> None:
    said = answers(200, 1.5, seed=3)
    labels = np.array([answer.label for answer in said])

    def loss_and_error(temperature: float) -> tuple[float, float]:
        tracks = np.concatenate(
            [tempered(answer.clips.probabilities, temperature) for answer in said]
        )
        loss = -np.log(tracks[np.arange(len(labels)), labels]).mean()
        return float(loss), float(
            np.mean([reliability(tracks, labels, n).ece for n in (7, 10, 15)])
        )

    tried = {temperature: loss_and_error(temperature) for temperature in np.arange(0.4, 1.2, 0.01)}
    likeliest = min(tried, key=lambda temperature: tried[temperature][0])
    loss, error = loss_and_error(best_temperature(said))
    assert error < tried[likeliest][1]
    assert loss < tried[likeliest][0] + 0.05


def test_sharpness_changes_no_order() -> None:
    rng = np.random.default_rng(0)
    clips = outputs(rng.dirichlet(np.ones(5), 9))
    orders = {tuple(of_tracks([Said(0, clips)], t)[0].argsort()) for t in (0.1, 0.5, 1.0, 3.0)}
    assert len(orders) == 1
