"""The model's card: the description in the `metadata_props` of a model file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from serve.inference.outputs import MUSIC, PROBABILITIES, TAGS

# The layout of the metadata; a file with another number is refused.
FORMAT = "topgenre-2"
INPUT = "mel"
# The property that holds the same graph as a loop over a few clips at a time (base64), for CPUs,
# and the loop's other input.
ON_CPU = "on_cpu"
CLIPS_AT_ONCE = "clips_at_once"
_TEXTS = ("name", "version", "licence")
_DICTS = ("front_end", "training", "scores")
_NAMES = ("genres", "tags", "sounds")


class ModelFileError(ValueError):
    """A model file that can't be served; the text says which and why."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """The self-description of a model file.

    `front_end` holds every parameter of `serve.audio.FrontEnd`; `genres` are in the order of the
    columns of `probabilities`, `tags` (kinds of music) and then `sounds` (what is not music) in
    that of the columns of `tags`; `training` tells data, their digest and the split; `scores` the
    accuracies; `sharpness` is what `track_probabilities` takes.
    """

    name: str
    version: str
    front_end: dict[str, Any]
    genres: tuple[str, ...]
    tags: tuple[str, ...] = ()
    sounds: tuple[str, ...] = ()
    training: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, Any] = field(default_factory=dict)
    licence: str = ""
    sharpness: float = 1.0

    @property
    def outputs(self) -> dict[str, tuple[int, ...]]:
        """The model's outputs by name, with the shape of each for one clip."""
        shapes: dict[str, tuple[int, ...]] = {PROBABILITIES: (len(self.genres),), MUSIC: ()}
        if self.tags or self.sounds:
            shapes[TAGS] = (len(self.tags) + len(self.sounds),)
        return shapes

    def to_metadata(self) -> dict[str, str]:
        """As the text properties of an ONNX file."""
        texts = {name: str(getattr(self, name)) for name in _TEXTS}
        jsons = {n: json.dumps(getattr(self, n), sort_keys=True) for n in (*_DICTS, *_NAMES)}
        return {"format": FORMAT, "sharpness": repr(self.sharpness), **texts, **jsons}

    @classmethod
    def from_metadata(cls, properties: Mapping[str, str]) -> Self:
        """From an ONNX file's properties; raise ModelFileError where one is missing or wrong."""
        if (found := properties.get("format")) != FORMAT:
            raise ModelFileError(f"its metadata format is {found!r}, not {FORMAT!r}")
        expected = ("sharpness", *_TEXTS, *_DICTS, *_NAMES)
        if missing := [name for name in expected if name not in properties]:
            raise ModelFileError(f"its metadata lacks {', '.join(missing)}")
        values: dict[str, Any] = {name: properties[name] for name in _TEXTS}
        values["sharpness"] = _positive(properties["sharpness"])
        for name in (*_DICTS, *_NAMES):
            try:
                values[name] = json.loads(properties[name])
            except ValueError:
                raise ModelFileError(f"its metadata {name} is not JSON") from None
        for name in _DICTS:
            if not isinstance(values[name], dict):
                raise ModelFileError(f"its metadata {name} is not a dictionary")
        for name in _NAMES:
            if not _are_names(values[name]):
                raise ModelFileError(f"its metadata {name} is not a list of distinct names")
            values[name] = tuple(values[name])
        if not values["genres"]:
            raise ModelFileError("its metadata genres is empty")
        if common := set(values["tags"]).intersection(values["sounds"]):
            raise ModelFileError(f"its metadata has {min(common)!r} as a tag and as a sound")
        return cls(**values)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 < value < math.inf:
        raise ModelFileError("its metadata sharpness is not a number above 0")
    return value


def _are_names(values: object) -> bool:
    return (
        isinstance(values, list)
        and all(isinstance(value, str) and value for value in values)
        and len(set(values)) == len(values)
    )
