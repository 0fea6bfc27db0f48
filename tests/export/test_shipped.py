from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import serve.models
from export import parity
from serve.audio.frontend import FrontEnd
from serve.inference.card import INPUT, OUTPUT, ModelCard
from train.dataset import Float32
from train.evaluate import Predict

MODEL = Path(serve.models.__file__).parent / "topgenre.onnx"
GTZAN = (
    *("blues", "classical", "country", "disco", "hiphop"),
    *("jazz", "metal", "pop", "reggae", "rock"),
)


@pytest.fixture(scope="module")
def session() -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def card(session: onnxruntime.InferenceSession) -> ModelCard:
    return ModelCard.from_metadata(session.get_modelmeta().custom_metadata_map)


@pytest.fixture(scope="module")
def predict(session: onnxruntime.InferenceSession) -> Predict:
    def call(mel: Float32) -> Float32:
        probabilities: Float32 = session.run([OUTPUT], {INPUT: mel})[0]
        return probabilities

    return call


@pytest.fixture(scope="module")
def mel(card: ModelCard) -> Float32:
    return parity.probe(FrontEnd.from_dict(card.front_end), 24)


def test_names_shapes_and_metadata(session: onnxruntime.InferenceSession, card: ModelCard) -> None:
    front_end = FrontEnd.from_dict(card.front_end)
    (given,), (made,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type) == (INPUT, "tensor(float)")
    assert (made.name, made.type) == (OUTPUT, "tensor(float)")
    assert given.shape == ["clips", *front_end.clip_shape]
    assert made.shape == ["clips", len(card.genres)]
    assert card.genres == GTZAN
    assert (front_end.sample_rate, front_end.hop_length, front_end.clip_s) == (22_050, 1920, 1.4)


def test_it_is_small_and_as_good_as_its_card_says(card: ModelCard) -> None:
    assert MODEL.stat().st_size < 2_000_000
    assert card.scores["valid"]["tracks"] == 197
    assert card.scores["valid"]["track_accuracy"] >= 0.65
    page = MODEL.with_suffix(".md").read_text()
    assert card.version in page
    assert f"{card.scores['valid']['track_accuracy']:.1%} of tracks" in page


def test_probabilities_sum_to_one(predict: Predict, mel: Float32) -> None:
    probabilities = predict(mel)
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-5)


def test_a_clip_does_not_depend_on_its_neighbours(predict: Predict, mel: Float32) -> None:
    together = predict(mel)
    order = np.random.default_rng(0).permutation(len(mel))
    np.testing.assert_allclose(predict(mel[order]), together[order], atol=1e-5)
    alone = np.concatenate([predict(mel[i : i + 1]) for i in range(len(mel))])
    np.testing.assert_allclose(alone, together, atol=1e-5)


@pytest.mark.parametrize("gain_db", [-60.0, -20.0, 6.0, 40.0])
def test_level_plays_no_part(predict: Predict, mel: Float32, gain_db: float) -> None:
    louder = mel * np.float32(10.0 ** (gain_db / 10.0))
    np.testing.assert_allclose(predict(louder), predict(mel), atol=1e-4)


@pytest.mark.parametrize("value", [0.0, 1e-30, 1.0, 1e12])
def test_odd_clips_give_finite_answers(predict: Predict, mel: Float32, value: float) -> None:
    probabilities = predict(np.full_like(mel[:2], value))
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-5)
