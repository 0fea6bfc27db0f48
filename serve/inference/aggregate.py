"""From the probabilities of a track's clips to the answer for the track."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from serve.errors import Internal
from serve.inference.session import Float32

_DECIMALS = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """A track's genres in percent, highest first, and the genre of each clip with its confidence.

    `results` sums to 100; `clips` holds (genre, probability from 0 to 1) in order of time; `shares`
    all of a clip's genres in percent, to one decimal, in the model's order.
    """

    top: str
    results: dict[str, float]
    clips: tuple[tuple[str, float], ...]
    shares: tuple[tuple[float, ...], ...]


def aggregate(probabilities: Float32, genres: tuple[str, ...]) -> Verdict:
    """The mean over clips of `probabilities` (clips, genres), as percentages.

    Raises Internal where some of them are no numbers.
    """
    mean = probabilities.mean(axis=0, dtype=np.float64)
    if not np.isfinite(mean).all():
        raise Internal("The model gave no numbers for this track.")
    percent = _percentages(mean)
    order = sorted(range(len(genres)), key=lambda g: (-percent[g], -mean[g], g))
    best = probabilities.argmax(axis=1)
    return Verdict(
        top=genres[order[0]],
        results={genres[g]: percent[g] for g in order},
        clips=tuple(
            (genres[g], round(float(row[g]), 4))
            for g, row in zip(best.tolist(), probabilities, strict=True)
        ),
        shares=tuple(map(tuple, np.round(probabilities * np.float64(100), 1).tolist())),
    )


def _percentages(shares: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[float]:
    # Rounded so that they still sum to 100: the largest remainders are rounded up.
    units = 100 * 10**_DECIMALS
    exact = shares / shares.sum() * units
    whole = np.floor(exact).astype(int)
    up = np.argsort(whole - exact, kind="stable")[: units - int(whole.sum())]
    whole[up] += 1
    return [round(unit / 10**_DECIMALS, _DECIMALS) for unit in whole.tolist()]
