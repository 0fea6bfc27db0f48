"""Space files: what they say, and what is wrong with them, in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

import train
from serve.audio.frontend import FrontEnd
from train.errors import DataError
from train.fitting.recipe import ON_BASE, Recipe
from train.search.points import next_point, points_of, study_of
from train.search.space import Coordinates, Space, configure

GRID = '[search]\nmethod = "grid"\n'
TPE = '[search]\nmethod = "tpe"\ntrials = 3\n'


def read(folder: Path, text: str) -> Space:
    path = folder / "sizes.toml"
    path.write_text(text)
    return Space.read(path)


def test_a_space_changes_recipe_and_front_end(tmp_path: Path) -> None:
    text = """
        [search]
        method = "grid"
        [base]
        epochs = 3
        [space]
        "architecture.stages" = [[16, 32], [32, 64, 128]]
        frames = [{}, { hop_length = 512, "augmentation.mask_frames" = 11 }]
    """
    space = read(tmp_path, text)
    assert space.name == "sizes"
    at: Coordinates = {"architecture.stages": 0, "frames": 1}
    recipe, front_end = configure(space.settings(at))
    assert recipe.architecture.stages == (16, 32)
    assert recipe.augmentation.mask_frames == 11
    assert recipe.epochs == 3
    assert front_end == FrontEnd(hop_length=512)
    assert configure({}) == (Recipe(), FrontEnd())


def test_the_command_line_goes_before_the_file(tmp_path: Path) -> None:
    space = read(tmp_path, GRID + "[base]\nepochs = 3\nbatch = 8\n[space]\naverage = [0.0]")
    assert space.with_base({"epochs": 2}, {"epochs": 0}).settings({"average": 0}) == {
        "epochs": 2,
        "batch": 8,
        "average": 0.0,
    }


def test_on_a_base_its_own_defaults_are_the_first_point(tmp_path: Path) -> None:
    space = read(tmp_path, GRID + f"[space]\nepochs = [0, {Recipe().epochs}]")
    on_base = space.with_base({}, ON_BASE)
    assert on_base.settings({}) == {"epochs": 0}
    assert points_of(on_base) == 2
    study = study_of(on_base)
    walked = [next_point(on_base, 1, study) for _ in range(3)]
    assert [trial and trial.params for trial in walked] == [{}, {"epochs": 1}, None]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("search =", "Invalid value"),
        ("[space]\nepochs = [1]", "search: Field required"),
        (GRID, "space: Field required"),
        (GRID + "[space]", "at least 1 item"),
        ('[search]\nmethod = "guess"\n[space]\nepochs = [1]', "search.method: Input should be"),
        (GRID + "seeds = []\n[space]\nepochs = [1]", "search.seeds: List should have"),
        (GRID + 'seeds = ["a"]\n[space]\nepochs = [1]', "search.seeds.0: Input should be a valid"),
        (GRID + "seeds = [-1]\n[space]\nepochs = [1]", "search.seeds.0: Input should be greater"),
        (GRID + "seeds = [1, 1]\n[space]\nepochs = [1]", "a seed is given twice"),
        (GRID + "folds = 1\n[space]\nepochs = [1]", "search.folds: Input should be greater"),
        (GRID + "sedes = [1]\n[space]\nepochs = [1]", "search.sedes: Extra inputs"),
        (GRID + "[space]\nepochs = 1", "space.epochs: Value error, must be a list of values"),
        (GRID + "[space]\nepochs = []", "space.epochs: The `choices` must contain one or more"),
        (GRID + "[space]\nepochs = [1.5]", "space.epochs: epochs: Input should be a valid integer"),
        (GRID + "[space]\nepochs = [true]", "valid integer, not True"),
        (GRID + '[space]\n"augmentation.mixup" = ["a"]', "augmentation.mixup: Input should be"),
        (GRID + '[space]\n"augmentation.mixap" = [0.0]', "is it augmentation.mixup?"),
        (GRID + "[space]\naugmentation = [0.0]", "there is no field 'augmentation'"),
        (GRID + "[space]\nseed = [1]", "there is no field 'seed'"),
        (GRID + '[space]\n"architecture.stages" = [3]', "architecture.stages: Input should be"),
        (GRID + "[space]\nhop_length = [0]", "hop_length must be a positive whole number"),
        (GRID + "[space]\nn_fft = [40000]", "holds no frame of 40000"),
        (GRID + "[space]\nmasks = [{ mixup = 0.0 }]", "is it augmentation.mixup?"),
        (GRID + "[base]\nepohcs = 1\n[space]\nbatch = [1]", "is it epochs?"),
        (GRID + "[space]\nepochs = { low = 1, high = 9 }", "a range is for random and tpe"),
        ('[search]\nmethod = "tpe"\n[space]\nbatch = [1]', "give trials or minutes"),
        (TPE + "[space]\nepochs = { low = 9, high = 1 }", "space.epochs: `low <= high` must hold"),
        (TPE + "[space]\nepochs = { low = 1.5, high = 9 }", "valid integer, not 1.5"),
        (TPE + "[space]\nepochs = { low = 1 }", "space.epochs.Range.high: Field required"),
        (TPE + "[space]\naverage = { low = 0.0, high = 1.0, log = true }", "`low > 0` must hold"),
        (TPE + '[space]\n"architecture.stages" = { low = 1, high = 2 }', "only a number"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, text)
    said = str(caught.value)
    assert said.startswith(str(tmp_path / "sizes.toml"))
    assert fault in said
    assert "\n" not in said


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="can't be read"):
        Space.read(tmp_path / "none.toml")


@pytest.mark.parametrize(("name", "points"), [("ablations", 9), ("hops", 3)])
def test_the_spaces_that_are_shipped(name: str, points: int) -> None:
    (folder,) = train.__path__
    assert points_of(Space.read(Path(folder) / "spaces" / f"{name}.toml")) == points
