"""What a model file says of itself, in its `metadata_props`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

# The layout of the metadata; a file with another number is refused.
FORMAT = "topgenre-1"
INPUT, OUTPUT = "mel", "probabilities"
_TEXTS = ("name", "version", "licence")
_JSONS = ("front_end", "genres", "training", "scores")


class ModelFileError(ValueError):
    """A model file that can't be served; the text says which and why."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """The self-description of a model file.

    `front_end` holds every parameter of `serve.audio.FrontEnd`; `genres` are in the order of the
    output's columns; `training` tells data, their digest and the split; `scores` the accuracies.
    """

    name: str
    version: str
    front_end: dict[str, Any]
    genres: tuple[str, ...]
    training: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, Any] = field(default_factory=dict)
    licence: str = ""

    def to_metadata(self) -> dict[str, str]:
        """As the text properties of an ONNX file."""
        texts = {name: str(getattr(self, name)) for name in _TEXTS}
        jsons = {name: json.dumps(getattr(self, name), sort_keys=True) for name in _JSONS}
        return {"format": FORMAT, **texts, **jsons}

    @classmethod
    def from_metadata(cls, properties: Mapping[str, str]) -> Self:
        """From an ONNX file's properties; raise ModelFileError where one is missing or wrong."""
        if (found := properties.get("format")) != FORMAT:
            raise ModelFileError(f"its metadata format is {found!r}, not {FORMAT!r}")
        if missing := [name for name in (*_TEXTS, *_JSONS) if name not in properties]:
            raise ModelFileError(f"its metadata lacks {', '.join(missing)}")
        values: dict[str, Any] = {name: properties[name] for name in _TEXTS}
        for name in _JSONS:
            try:
                values[name] = json.loads(properties[name])
            except ValueError:
                raise ModelFileError(f"its metadata {name} is not JSON") from None
        genres = values["genres"]
        if not (
            isinstance(genres, list)
            and genres
            and all(isinstance(genre, str) and genre for genre in genres)
            and len(set(genres)) == len(genres)
        ):
            raise ModelFileError("its metadata genres is not a list of distinct names")
        values["genres"] = tuple(genres)
        for name in ("front_end", "training", "scores"):
            if not isinstance(values[name], dict):
                raise ModelFileError(f"its metadata {name} is not a dictionary")
        return cls(**values)
