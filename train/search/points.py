"""The points of a search as trials of an Optuna study: the same results give the same points."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import optuna
from optuna.samplers import RandomSampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from train.search.space import Coordinates, Space

# After this many draws of points that were tried before, a space counts as exhausted.
_DRAWS = 100


def study_of(space: Space, storage: optuna.storages.BaseStorage | None = None) -> optuna.Study:
    """The study in `storage` (in memory by default); made where there is none yet."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        storage=storage,
        study_name="search",
        direction=_direction(space),
        load_if_exists=True,
    )


def next_point(space: Space, seed: int, study: optuna.Study) -> FrozenTrial | None:
    """Begin a trial at the next point that was not tried before; None where there is none left."""
    tried = study.get_trials(deepcopy=False)
    if space.search.trials is not None and len(tried) >= space.search.trials:
        return None
    candidates = _sampled(space, seed, tried) if space.sampled else _listed(space)
    seen = [space.fields(trial.params) for trial in tried]
    at = next((at for at in candidates if space.fields(at) not in seen), None)
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
    fields = [space.fields(at) for at in _listed(space)]
    points = sum(1 for n, of in enumerate(fields) if of not in fields[:n])
    return points if most is None else min(most, points)


def _listed(space: Space) -> Iterator[Coordinates]:
    yield {}
    places = {axis: range(len(of)) for axis, of in space.space.items() if isinstance(of, list)}
    if space.search.method == "grid":
        for at in itertools.product(*places.values()):
            yield dict(zip(places, at, strict=True))
    else:
        yield from ({axis: place} for axis, of in places.items() for place in of)


def _sampled(space: Space, seed: int, tried: list[FrozenTrial]) -> Iterator[Coordinates]:
    if not tried:
        yield {}
    # Seeded anew for every point: a search that was stopped draws what it would have drawn.
    entropy = int(np.random.SeedSequence([seed, len(tried)]).generate_state(1)[0])
    sampler = (TPESampler if space.search.method == "tpe" else RandomSampler)(seed=entropy)
    # Drawn in a study of their own: a point that was tried before must not become a trial.
    drawing = optuna.create_study(sampler=sampler, direction=_direction(space))
    # The base lies outside the axes: it tells the sampler nothing.
    drawing.add_trials(trial for trial in tried if trial.params)
    for _ in range(_DRAWS):
        yield drawing.ask(space.distributions()).params


def _direction(space: Space) -> StudyDirection:
    by_loss = space.search.by == "track_loss"
    return StudyDirection.MINIMIZE if by_loss else StudyDirection.MAXIMIZE
