"""Colours of genres: told apart by those who see no red, no green or no blue too."""

import re
from pathlib import Path

import numpy as np
import pytest

import serve.http

STYLE = Path(serve.http.__file__).parent / "web" / "style.css"


def palettes():
    """The ten colours of genres in light and in dark, as fractions of red, green and blue."""
    css = STYLE.read_text()
    found = re.findall(r"--g(\d): #([0-9a-f]{6});", css)
    assert [int(n) for n, _ in found] == [*range(10), *range(10)]
    rgb = [[int(hexes[i : i + 2], 16) / 255 for i in (0, 2, 4)] for _, hexes in found]
    return {"light": np.array(rgb[:10]), "dark": np.array(rgb[10:])}


# What eyes without one kind of cone see (Machado, Oliveira, Fernandes 2009, severity 1), of linear
# red, green and blue.
EYES = {
    "three cones": np.eye(3),
    "no red": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "no green": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "no blue": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
# Oklab (Ottosson 2020), whose distances are about those that are seen.
LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
#: Distance of a difference that can just be seen, in Oklab, five times over.
APART = 0.095


@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_genres_have_colours_that_all_eyes_tell_apart(scheme, eyes):
    srgb = palettes()[scheme]
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.cbrt(np.clip(linear @ EYES[eyes].T, 0, 1) @ LMS.T) @ LAB.T
    distance = np.linalg.norm(seen[:, None] - seen[None], axis=-1)
    np.fill_diagonal(distance, 1.0)
    assert distance.min() >= APART
