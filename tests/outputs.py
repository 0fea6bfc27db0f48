"""What models say of clips, compared."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from serve.inference.outputs import MUSIC, PROBABILITIES, Outputs


def said(probabilities: ArrayLike, music: float = 1.0) -> Outputs:
    """What a model without tags says of clips that are all as much music."""
    rows = np.asarray(probabilities, np.float32)
    return Outputs.of({PROBABILITIES: rows, MUSIC: np.full(len(rows), music, np.float32)})


ARRAYS = ("probabilities", "music", "tags")


def assert_close(found: Outputs, expected: Outputs, atol: float = 1e-6) -> None:
    """All that is said is the same to within `atol`."""
    for name in ARRAYS:
        mine, theirs = getattr(found, name), getattr(expected, name)
        np.testing.assert_allclose(mine, theirs, atol=atol, rtol=0, err_msg=name)


def assert_equal(found: Outputs, expected: Outputs) -> None:
    """All that is said is the same, bit for bit."""
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)
