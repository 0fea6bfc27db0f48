"""The shipped model: its contract, and that its card is true."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import serve.models
from export import parity
from export.graph import node_counts
from export.session import onnx_predictor
from serve.audio.frontend import FrontEnd
from serve.inference.card import INPUT, ModelCard
from serve.inference.outputs import IS_MUSIC, track_music
from tests.media import music
from tests.outputs import ARRAYS, assert_close
from train.data.dataset import Float32
from train.data.sounds import named
from train.evaluation.held_out import features
from train.model import audioset, audioset_classes
from train.scoring.scores import Predict

MODEL = Path(serve.models.__file__).parent / "topgenre.onnx"
GTZAN = (
    *("blues", "classical", "country", "disco", "hiphop"),
    *("jazz", "metal", "pop", "reggae", "rock"),
)


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    return onnx.load(MODEL)


@pytest.fixture(scope="module")
def card(model: onnx.ModelProto) -> ModelCard:
    return ModelCard.from_metadata({entry.key: entry.value for entry in model.metadata_props})


@pytest.fixture(scope="module")
def predict(model: onnx.ModelProto) -> Predict:
    return onnx_predictor(model)


@pytest.fixture(scope="module")
def mel(card: ModelCard) -> Float32:
    return parity.probe(FrontEnd.from_dict(card.front_end), 24)


def test_names_shapes_and_metadata(model: onnx.ModelProto, card: ModelCard) -> None:
    front_end = FrontEnd.from_dict(card.front_end)
    assert front_end == audioset.AT_22_050_HZ
    assert (front_end.sample_rate, front_end.clip_s) == (22_050, 1.4)
    assert [value.name for value in model.graph.input] == [INPUT]
    assert {value.name for value in model.graph.output} == card.outputs.keys()
    assert card.genres == GTZAN
    assert (card.tags, card.sounds) == (audioset_classes.TAGS, audioset_classes.SOUNDS)


def test_it_is_small_and_as_good_as_its_card_says(card: ModelCard) -> None:
    # Its weights are in it twice: for CPUs also in the loop over a few clips.
    assert MODEL.stat().st_size < 8_000_000
    assert card.scores["valid"]["tracks"] == 120
    assert card.scores["valid"]["track_accuracy"] >= 0.80
    page = MODEL.with_suffix(".md").read_text()
    assert card.version in page
    assert f"{card.scores['valid']['track_accuracy']:.1%} of tracks" in page


def test_what_others_wrote_is_under_their_licence() -> None:
    notice = (MODEL.parent / "NOTICE").read_text()
    assert "EfficientAT" in notice
    assert "Permission is hereby granted" in notice


def test_no_layout_is_changed_for_a_block(model: onnx.ModelProto) -> None:
    counts = node_counts(model)
    assert counts.get("Transpose", 0) <= 1, "what brings the bands to the front"
    assert "Clip" not in counts


def test_probabilities_sum_to_one(predict: Predict, mel: Float32) -> None:
    said = predict(mel)
    assert (said.probabilities >= 0).all()
    np.testing.assert_allclose(said.probabilities.sum(axis=1), 1.0, atol=1e-5)
    for of in (said.music, said.tags):
        assert ((of >= 0) & (of <= 1)).all()


def test_a_clip_does_not_depend_on_its_neighbours(predict: Predict, mel: Float32) -> None:
    together = predict(mel)
    order = np.random.default_rng(0).permutation(len(mel))
    turned = predict(mel[order])
    for name in ARRAYS:
        there = getattr(together, name)
        np.testing.assert_allclose(getattr(turned, name), there[order], atol=1e-5)
    for number in range(len(mel)):
        alone = predict(mel[number : number + 1])
        assert_close(alone, together.rows(number, number + 1), atol=1e-5)


@pytest.mark.parametrize("gain_db", [-60.0, -20.0, 6.0, 40.0])
def test_level_plays_no_part(predict: Predict, card: ModelCard, gain_db: float) -> None:
    clips = features(music(9.8)[0], FrontEnd.from_dict(card.front_end))
    louder = clips * np.float32(10.0 ** (gain_db / 10.0))
    assert_close(predict(louder), predict(clips), atol=2e-3)


@pytest.mark.parametrize("value", [0.0, 1e-30, 1.0, 1e12])
def test_odd_clips_give_finite_answers(predict: Predict, mel: Float32, value: float) -> None:
    said = predict(np.full_like(mel[:2], value))
    assert all(np.isfinite(getattr(said, name)).all() for name in ARRAYS)
    np.testing.assert_allclose(said.probabilities.sum(axis=1), 1.0, atol=1e-5)


def test_sounds_are_not_music(predict: Predict, card: ModelCard) -> None:
    front_end = FrontEnd.from_dict(card.front_end)
    heard = {
        name: track_music(predict(features(samples, front_end)).music)
        for name, samples in named(front_end.sample_rate).items()
    }
    heard["silence"] = float(predict(np.zeros((1, *front_end.clip_shape), np.float32)).music[0])
    assert {name for name, share in heard.items() if share >= IS_MUSIC} == set()
