from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from serve.inference.outputs import Outputs
from tests.outputs import said as outputs
from train.calibration import best_temperature, tempered
from train.measures import reliability


@dataclass(frozen=True)
class Said:
    label: int
    clips: Outputs


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


def test_it_is_fitted_after_the_mean_over_clips() -> None:
    # Two clips that contradict each other are together as unsure as the labels are.
    clips = np.array([[0.99, 0.01], [0.01, 0.99]], np.float32)
    assert 0.2 <= best_temperature([Said(n, outputs(clips)) for n in (0, 1)]) <= 5.0


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


def test_tempering_keeps_order_and_sum() -> None:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.0, 0.5, 0.5]], np.float32)
    for temperature in (0.5, 1.0, 3.0):
        changed = tempered(probabilities, temperature)
        np.testing.assert_allclose(changed.sum(axis=1), 1.0, rtol=1e-6)
        assert changed[0].argmax() == 0
    np.testing.assert_allclose(tempered(probabilities, 1.0), probabilities, atol=1e-6)
