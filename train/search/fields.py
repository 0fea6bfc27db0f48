"""The fields of recipe and front end by name, as a space file writes them."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from serve.audio.frontend import FrontEnd
from train.errors import DataError
from train.fitting.recipe import Recipe

FRONT_END = ("hop_length", "n_fft", "n_mels")
_RECIPE = TypeAdapter(Recipe)


@dataclass(frozen=True, slots=True)
class Making:
    """What a point is trained with."""

    recipe: Recipe
    front_end: FrontEnd


def change(
    values: Mapping[str, Any], recipe: Recipe | None = None, front_end: FrontEnd | None = None
) -> Making:
    """A recipe and front end (the default ones) with other values for some fields.

    Raises DataError for a field that is none, or a value of the wrong type.
    """
    tree = asdict(recipe or Recipe())
    for name, value in values.items():
        if name not in FRONT_END:
            default(name)
            *path, last = name.split(".")
            place = tree
            for key in path:
                place = place[key]
            place[last] = value
    try:
        changed = _RECIPE.validate_json(json.dumps(tree), strict=True)
    except ValidationError as error:
        fault = error.errors()[0]
        name = ".".join(str(part) for part in fault["loc"])
        raise DataError(f"{name}: {fault['msg']}, not {fault['input']!r}") from None
    other = {name: values[name] for name in FRONT_END if name in values}
    try:
        return Making(changed, replace(front_end or FrontEnd(), **other))
    except ValueError as error:
        raise DataError(str(error)) from None


def default(name: str) -> Any:
    """A field's default; raise DataError where it is no field."""
    known = dict(_flat(asdict(Recipe())))
    del known["seed"]  # a point has several
    known |= {name: getattr(FrontEnd(), name) for name in FRONT_END}
    if name not in known:
        inner = [of for of in known if of.endswith(f".{name}")]
        near = inner or difflib.get_close_matches(name, known, n=1)
        hint = f"; is it {near[0]}?" if near else ""
        raise DataError(f"there is no field {name!r}{hint}")
    return known[name]


def _flat(tree: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + name, value
