"""Which points a search comes to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from train.search.points import next_point, points_of, study_of
from train.search.space import Coordinates, Space

RATE = {"low": 1e-4, "high": 1e-2, "log": True}


def space(method: str, axes: dict[str, Any], **terms: Any) -> Space:
    return Space.model_validate(
        {"name": "any", "search": {"method": method, **terms}, "space": axes}
    )


def walk(of: Space, seed: int = 1) -> list[Coordinates]:
    return [trial.params for trial in tell(of, seed, lambda trial: 0.5)]


def tell(
    of: Space, seed: int, judge: Callable[[FrozenTrial], float | None]
) -> Iterator[FrozenTrial]:
    study = study_of(of)
    while (trial := next_point(of, seed, study)) is not None:
        if (value := judge(trial)) is not None:
            study.tell(trial.number, value)
        else:
            study.tell(trial.number, state=TrialState.FAIL)
        yield trial


def test_one_at_a_time() -> None:
    of = space("one_at_a_time", {"batch": [16, 32], "masks": [{"average": 0.0}]})
    assert walk(of) == [{}, {"batch": 0}, {"batch": 1}, {"masks": 0}]
    assert points_of(of) == 4


def test_a_grid_leaves_out_what_is_there_already() -> None:
    of = space("grid", {"epochs": [80, 40], "hop_length": [1920, 960]})
    expected: list[Coordinates] = [
        {},
        {"epochs": 0, "hop_length": 1},
        {"epochs": 1, "hop_length": 0},
        {"epochs": 1, "hop_length": 1},
    ]
    assert walk(of) == expected, "80 epochs and a hop of 1920 are the base"
    assert points_of(of) == 4


def test_trials_end_it() -> None:
    of = space("grid", {"epochs": [1, 2, 3]}, trials=2)
    assert walk(of) == [{}, {"epochs": 0}]
    assert points_of(of) == 2


def test_points_that_will_fail_are_points() -> None:
    of = space("grid", {"n_fft": [2048, 30_000], "frames": [{"hop_length": -1}, {}]})
    assert len(walk(of)) == 4


@pytest.mark.parametrize("method", ["random", "tpe"])
def test_sampled_points_lie_inside_and_are_the_same_for_a_seed(method: str) -> None:
    axes = {"learning_rate": RATE, "epochs": {"low": 5, "high": 9}, "batch": [16, 32]}
    of = space(method, axes, trials=15)
    points = walk(of)
    assert points == walk(of)
    assert points[1:] != walk(of, seed=2)[1:]
    assert points[0] == {}
    assert len({tuple(at.items()) for at in points}) == len(points) == points_of(of) == 15
    for at in points[1:]:
        assert 1e-4 <= at["learning_rate"] <= 1e-2
        assert at["epochs"] in range(5, 10)
        assert at["batch"] in (0, 1)
        assert isinstance(at["epochs"], int)


def test_a_space_that_is_exhausted_ends() -> None:
    of = space("random", {"batch": [16, 32, 64]}, trials=20)
    assert sorted(walk(of)[1:], key=str) == [{"batch": 0}, {"batch": 1}]  # 64 is the base


@pytest.mark.parametrize(("by", "sign"), [("track_accuracy", -1.0), ("track_loss", 1.0)])
def test_tpe_goes_where_it_is_better(by: str, sign: float) -> None:
    of = space("tpe", {"average": {"low": 0.0, "high": 1.0}}, trials=40, by=by)

    def judge(trial: FrozenTrial) -> float | None:
        off = trial.params.get("average", 0.0) - 0.7
        return None if trial.number == 3 else sign * off**2

    late = [abs(trial.params["average"] - 0.7) for trial in list(tell(of, 1, judge))[-15:]]
    assert sum(late) / len(late) < 0.2, "by chance 0.29"


def test_a_search_that_was_stopped_draws_what_it_would_have_drawn(tmp_path: Path) -> None:
    of = space("tpe", {"average": {"low": 0.0, "high": 1.0}}, trials=14)
    walked, journal = walk(of), str(tmp_path / "journal.log")
    for at in walked:
        study = study_of(of, JournalStorage(JournalFileBackend(journal)))
        trial = next_point(of, 1, study)
        assert trial is not None
        assert trial.params == at
        study.tell(trial.number, 0.5)
