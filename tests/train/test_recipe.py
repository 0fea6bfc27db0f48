from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from train.errors import DataError
from train.fitting.augment import Augmentation
from train.fitting.recipe import Recipe


def test_a_recipe_survives_its_way_through_a_run() -> None:
    recipe = Recipe(not_music=0.1, renditions=0.25, augmentation=Augmentation(contrast=0.3))
    assert Recipe.from_dict(asdict(recipe)) == recipe
    with pytest.raises(DataError, match="can't be read"):
        Recipe.from_dict({**asdict(recipe), "unknown": 1})


def test_an_older_run_goes_on_without_what_it_does_not_name() -> None:
    values = asdict(Recipe())
    for name in ("not_music", "renditions"):
        del values[name]
    del values["augmentation"]["contrast"]
    off = replace(Augmentation(), contrast=0.0)
    assert Recipe.from_dict(values) == Recipe(not_music=0.0, renditions=0.0, augmentation=off)
