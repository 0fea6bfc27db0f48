"""A search's space: the fields that vary; docs/training.md explains the file."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from serve.audio.frontend import FrontEnd
from train.errors import DataError
from train.fitting.recipe import Recipe

By = Literal["track_accuracy", "clip_accuracy", "track_loss"]
Coordinates = dict[str, Any]
"""Axis to the index in its list of values, or to the value in its range."""
FRONT_END = ("hop_length", "n_fft", "n_mels")
_RECIPE = TypeAdapter(Recipe)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Range(_Strict):
    """Numbers from `low` to `high`, both inclusive, drawn evenly on a linear or a log scale."""

    low: int | float
    high: int | float
    log: bool = False


def _axis(value: Any) -> Any:
    if not isinstance(value, Range | dict | list):
        raise ValueError("must be a list of values, or a range { low, high }")
    return value


class Terms(_Strict):
    """How points are chosen and scored, and when the search ends."""

    method: Literal["one_at_a_time", "grid", "random", "tpe"]
    seeds: list[Annotated[int, Field(ge=0, lt=2**32)]] = Field([1], min_length=1)
    folds: int | None = Field(None, ge=2)
    by: By = "track_accuracy"
    trials: int | None = Field(None, ge=1)
    minutes: float | None = Field(None, gt=0)


class Space(_Strict):
    """A space file."""

    name: str
    search: Terms
    base: dict[str, Any] = {}
    space: dict[str, Annotated[Range | list[Any], BeforeValidator(_axis)]] = Field(min_length=1)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read and check a file and each of its values; raise DataError for what is wrong."""
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
            # As JSON, because strict validation takes a list for a tuple only there.
            made = cls.model_validate_json(json.dumps({"name": path.stem, **content}, default=str))
            made._check()
        except OSError as error:
            raise DataError(f"{path} can't be read: {error.strerror}") from error
        except ValueError as error:  # from TOML, UTF-8, pydantic or ourselves
            raise DataError(f"{path}: {first_fault(error)}") from error
        return made

    @property
    def sampled(self) -> bool:
        """Whether points are drawn, not listed."""
        return self.search.method in ("random", "tpe")

    def with_base(self, values: Mapping[str, Any], defaults: Mapping[str, Any]) -> Self:
        """The same space; `values` replace what its base sets, `defaults` set what it doesn't."""
        return self.model_copy(update={"base": {**defaults, **self.base, **values}})

    def settings(self, at: Coordinates) -> dict[str, Any]:
        """The fields that the base and these coordinates set."""
        values = dict(self.base)
        for axis, place in at.items():
            choices = self.space[axis]
            values |= _values(axis, choices[place] if isinstance(choices, list) else place)
        return values

    def fields(self, at: Coordinates) -> dict[str, Any]:
        """All fields at these coordinates, in JSON's types: points with the same are the same."""
        fields: dict[str, Any] = json.loads(json.dumps(_defaults() | self.settings(at)))
        return fields

    def distributions(self) -> dict[str, BaseDistribution]:
        """Where the coordinates of each axis lie."""
        return {axis: _distribution(axis, choices) for axis, choices in self.space.items()}

    def _check(self) -> None:
        terms = self.search
        if len(set(terms.seeds)) < len(terms.seeds):
            raise ValueError("search.seeds: a seed is given twice")
        if self.sampled and terms.trials is None and terms.minutes is None:
            raise ValueError(f"search: {terms.method} has no end; give trials or minutes")
        configure(self.base)
        for axis, choices in self.space.items():
            try:
                self._check_axis(axis, choices)
            except ValueError as error:
                raise ValueError(f"space.{axis}: {error}") from None

    def _check_axis(self, axis: str, choices: Range | list[Any]) -> None:
        if isinstance(choices, Range) and not self.sampled:
            raise ValueError(f"a range is for random and tpe, not for {self.search.method}")
        _distribution(axis, choices)
        for value in choices if isinstance(choices, list) else (choices.low, choices.high):
            configure(self.base | _values(axis, value))


def configure(
    values: Mapping[str, Any], recipe: Recipe | None = None, front_end: FrontEnd | None = None
) -> tuple[Recipe, FrontEnd]:
    """A recipe and front end (by default the default ones) with these fields set.

    Raises DataError for an unknown field, or a value that the field can't have.
    """
    tree = asdict(recipe or Recipe())
    for name, value in values.items():
        _default(name)
        *path, last = name.split(".")
        place = tree
        for key in path:
            place = place[key]
        place[last] = value
    other = {name: tree.pop(name) for name in FRONT_END if name in tree}
    try:
        configured = _RECIPE.validate_json(json.dumps(tree), strict=True)
        return configured, replace(front_end or FrontEnd(), **other)
    except ValidationError as error:
        raise DataError(f"{first_fault(error)}, not {error.errors()[0]['input']!r}") from None
    except ValueError as error:
        raise DataError(str(error)) from None


def first_fault(error: ValueError) -> str:
    """In one line; of pydantic's faults the first: where, and what."""
    if not isinstance(error, ValidationError):
        return str(error)
    fault = error.errors()[0]
    return f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"


def _defaults() -> dict[str, Any]:
    fields = dict(_flat(asdict(Recipe())))
    del fields["seed"]  # each point is trained with several
    return fields | {name: getattr(FrontEnd(), name) for name in FRONT_END}


def _default(name: str) -> Any:
    known = _defaults()
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


def _values(axis: str, value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {axis: value}


def _distribution(axis: str, choices: Range | list[Any]) -> BaseDistribution:
    if isinstance(choices, list):
        return CategoricalDistribution(range(len(choices)))
    default = _default(axis)
    if isinstance(default, int):
        return IntDistribution(int(choices.low), int(choices.high), log=choices.log)
    if isinstance(default, float):
        return FloatDistribution(choices.low, choices.high, log=choices.log)
    raise ValueError("only a number has a range")
