"""The points of a search as trials of an Optuna study; the same results lead to the same points."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.samplers import RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from train.errors import DataError
from train.search.space import Coordinates, Making, Space, change

# After so many draws of points that were tried before, a space counts as exhausted.
_DRAWS = 100


def study_of(space: Space, storage: optuna.storages.BaseStorage | None = None) -> optuna.Study:
    """The study in `storage` (in memory by default); made where there is none yet."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        storage=storage,
        study_name="search",
        direction="minimize" if space.search.by == "track_loss" else "maximize",
        load_if_exists=True,
    )


def next_point(space: Space, seed: int, study: optuna.Study) -> FrozenTrial | None:
    """Begin a trial at the next point, unlike those before; None where there is none left."""
    tried = study.get_trials(deepcopy=False)
    if space.search.trials is not None and len(tried) >= space.search.trials:
        return None
    candidates = _sampled(space, seed, study) if space.sampled else _listed(space)
    at = next(_unlike(space, candidates, [trial.params for trial in tried]), None)
    if at is None:
        return None
    axes = space.distributions()
    of = {axis: axes[axis] for axis in at}
    study.add_trial(create_trial(state=TrialState.RUNNING, params=at, distributions=of))
    return study.trials[-1]


def points_of(space: Space) -> int | None:
    """How many points there will be; None where only time ends the search."""
    most = space.search.trials
    if space.sampled:
        return most
    points = sum(1 for _ in _unlike(space, _listed(space), []))
    return points if most is None else min(most, points)


def _unlike(
    space: Space, candidates: Iterable[Coordinates], tried: list[Coordinates]
) -> Iterator[Coordinates]:
    seen = [_making(space, at) for at in tried]
    for at in candidates:
        if (made := _making(space, at)) not in seen:
            seen.append(made)
            yield at


def _making(space: Space, at: Coordinates) -> Making | dict[str, Any]:
    try:
        return change(space.settings(at))
    except DataError:  # each value is good, but not together: training the point will fail
        return space.settings(at)


def _listed(space: Space) -> Iterator[Coordinates]:
    yield {}
    of = space.distributions()
    lists = {
        axis: lot.choices for axis, lot in of.items() if isinstance(lot, CategoricalDistribution)
    }
    if space.search.method == "grid":
        yield from (dict(zip(lists, at, strict=True)) for at in itertools.product(*lists.values()))
    else:
        yield from ({axis: place} for axis, places in lists.items() for place in places)


def _sampled(space: Space, seed: int, study: optuna.Study) -> Iterator[Coordinates]:
    tried = study.get_trials(deepcopy=False)
    if not tried:
        yield {}
    # Seeded anew for every point, so that a search that was stopped draws what it would have drawn.
    entropy = int(np.random.SeedSequence([seed, len(tried)]).generate_state(1)[0])
    sampler = (TPESampler if space.search.method == "tpe" else RandomSampler)(seed=entropy)
    # Drawn in memory: a point that was tried before must leave no trial behind.
    drawing = optuna.create_study(sampler=sampler, direction=study.direction)
    # The base lies outside the axes: it tells the sampler nothing.
    drawing.add_trials(trial for trial in tried if trial.params)
    for _ in range(_DRAWS):
        yield drawing.ask(space.distributions()).params
