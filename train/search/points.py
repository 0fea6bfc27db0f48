"""The points of a search, one after the other; the same ones for the same results."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from train.errors import DataError
from train.search.fields import Making, change, default
from train.search.space import Coordinates, Range, Space

if TYPE_CHECKING:
    import optuna

# Proposals that were tried before are drawn again so often, then the space counts as exhausted.
_DRAWS = 100


@dataclass(frozen=True, slots=True)
class Tried:
    """A point, and how good it was."""

    at: Coordinates
    value: float | None
    """as the space's `by` has it; None where it failed"""


def propose(space: Space, seed: int, tried: Sequence[Tried]) -> Coordinates | None:
    """The next point, unlike those before; None where there is none left.

    It depends on nothing but the arguments, so a search that was stopped proposes what it would
    have proposed.
    """
    if space.search.trials is not None and len(tried) >= space.search.trials:
        return None
    if space.search.method in ("random", "tpe"):
        candidates = _sampled(space, seed, tried)
    else:
        candidates = _listed(space)
    seen = [_making(space, before.at) for before in tried]
    return next((at for at in candidates if _making(space, at) not in seen), None)


def points_of(space: Space) -> int | None:
    """How many points there will be; None where only time ends the search."""
    most = space.search.trials
    if space.search.method in ("random", "tpe"):
        return most
    makings: list[Making | dict[str, Any]] = []
    for at in _listed(space):
        made = _making(space, at)
        if made not in makings:
            makings.append(made)
    return len(makings) if most is None else min(most, len(makings))


def _making(space: Space, at: Coordinates) -> Making | dict[str, Any]:
    try:
        return change(space.settings(at))
    except DataError:  # values that are good one by one and not together: the point will fail
        return space.settings(at)


def _listed(space: Space) -> Iterator[Coordinates]:
    yield {}
    places = {axis: range(len(_values(choices))) for axis, choices in space.space.items()}
    if space.search.method == "grid":
        for at in itertools.product(*places.values()):
            yield dict(zip(places, at, strict=True))
    else:
        for axis, of in places.items():
            for place in of:
                yield {axis: place}


def _values(choices: Range | list[object]) -> list[object]:
    assert not isinstance(choices, Range), "a listed space has no ranges: it was checked"
    return choices


def _sampled(space: Space, seed: int, tried: Sequence[Tried]) -> Iterator[Coordinates]:
    if not tried:
        yield {}
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    distributions = _distributions(space)
    higher = space.search.by != "track_loss"
    for draw in range(_DRAWS):
        study = optuna.create_study(
            sampler=_sampler(space, [seed, len(tried), draw]),
            direction="maximize" if higher else "minimize",
        )
        # The base lies outside the axes: it tells the sampler nothing.
        for before in (before for before in tried if before.at):
            state = "COMPLETE" if before.value is not None else "FAIL"
            study.add_trial(
                optuna.trial.create_trial(
                    state=optuna.trial.TrialState[state],
                    params=dict(before.at),
                    distributions=distributions,
                    value=before.value,
                )
            )
        yield dict(study.ask(distributions).params)


def _sampler(space: Space, entropy: list[int]) -> optuna.samplers.BaseSampler:
    import optuna

    seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
    if space.search.method == "tpe":
        return optuna.samplers.TPESampler(seed=seed)
    return optuna.samplers.RandomSampler(seed=seed)


def _distributions(space: Space) -> dict[str, optuna.distributions.BaseDistribution]:
    from optuna.distributions import (
        BaseDistribution,
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    made: dict[str, BaseDistribution] = {}
    for axis, choices in space.space.items():
        if not isinstance(choices, Range):
            made[axis] = CategoricalDistribution(list(range(len(choices))))
        elif isinstance(default(axis), int):
            made[axis] = IntDistribution(int(choices.low), int(choices.high), log=choices.log)
        else:
            made[axis] = FloatDistribution(choices.low, choices.high, log=choices.log)
    return made
