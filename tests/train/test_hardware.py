from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import keras
import numpy as np
import pytest

from serve.audio.frontend import FrontEnd
from train.data.dataset import Dataset
from train.errors import DataError
from train.fitting.fit import FitProgress, fit
from train.fitting.recipe import PRECISIONS, Hardware, Precision, Recipe
from train.hardware import precision, strategy_of
from train.model.architecture import Architecture
from train.model.network import build

SMALL = Architecture(stem=4, stages=(8,), dropout=0.3, memory=0.5)
TINY = Recipe(epochs=2, clips_per_track=8, batch=16, learning_rate=1e-2, architecture=SMALL)


@pytest.fixture
def data(dataset_folder: Path) -> Dataset:
    return Dataset.load(dataset_folder)


def losses(data: Dataset, recipe: Recipe, hardware: Hardware) -> list[float]:
    seen: list[FitProgress] = []
    fit(data, recipe, seen.append, hardware)
    return [now.loss for now in seen]


def test_precision_is_of_the_convolutions_alone() -> None:
    before = keras.config.dtype_policy().name
    for name in PRECISIONS:
        with precision(name):
            model = build(FrontEnd(), 3, SMALL)
        computes = {layer.name: layer.compute_dtype for layer in model.layers}
        ends = ("relative_decibels", "logits", "probabilities")
        assert {computes[end] for end in ends} == {"float32"}
        assert computes["stem_convolution"] == name.removeprefix("mixed_")
        assert {weight.dtype for weight in model.weights} == {"float32"}
    assert keras.config.dtype_policy().name == before


@pytest.mark.parametrize("name", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_learns_nearly_the_same(data: Dataset, name: Precision) -> None:
    # Dropout draws other numbers in another precision.
    recipe = replace(TINY, architecture=replace(SMALL, dropout=0.0))
    exact = losses(data, recipe, Hardware())
    mixed = losses(data, recipe, Hardware(precision=name))
    assert mixed != exact
    np.testing.assert_allclose(mixed, exact, rtol=0.1)


def test_one_replica_is_no_change(data: Dataset) -> None:
    assert strategy_of(Hardware(devices="all")).num_replicas_in_sync == 1
    all_of_them = losses(data, TINY, Hardware(devices="all"))
    np.testing.assert_allclose(all_of_them, losses(data, TINY, Hardware()), rtol=1e-5)


def test_a_recipe_comes_back_from_json() -> None:
    values = asdict(TINY)
    values["architecture"]["stages"] = list(SMALL.stages)
    assert Recipe.from_dict(values) == TINY
    del values["architecture"]["memory"], values["batch"]
    assert Recipe.from_dict(values).batch == Recipe().batch, "runs from before it was a setting"
    with pytest.raises(DataError, match="recipe can't be read"):
        Recipe.from_dict({**values, "colour": 1})
