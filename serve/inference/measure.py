"""Measures how long calls take, in turns."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)


def seconds(
    calls: Mapping[Key, Callable[[], object]],
    rounds: int,
    on_round: Callable[[], None],
    clock: Callable[[], float] = time.perf_counter,
) -> dict[Key, list[float]]:
    """The seconds of each call, by `clock`, in each round; a warm-up round is not counted.

    A round makes every call once, in a new order, so that disturbances affect all alike.
    """
    taken: dict[Key, list[float]] = {key: [] for key in calls}
    order = list(calls)
    shuffle = random.Random(0).shuffle  # noqa: S311
    for _ in range(rounds + 1):
        shuffle(order)
        for key in order:
            start = clock()
            calls[key]()
            taken[key].append(clock() - start)
        on_round()
    return {key: times[1:] for key, times in taken.items()}


def median_ms(times: list[float]) -> float:
    """The median of some seconds, in milliseconds."""
    return 1000 * statistics.median(times)
