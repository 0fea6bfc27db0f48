"""A search's space: which fields of the recipe and the front end vary, from a TOML file.

    [search]
    method = "tpe"            # one_at_a_time, grid, random or tpe
    seeds = [1, 2, 3]         # runs of each point
    folds = 5                 # judged by the mean over artist folds; without it, by valid
    by = "track_accuracy"     # what is best: track_accuracy, clip_accuracy or track_loss
    trials = 20               # most points
    minutes = 600             # of training, after which no further point is begun

    [base]                    # what all points share, unlike the default recipe
    epochs = 40

    [space]
    "augmentation.eq_db" = [0.0, 6.0]                          # values
    learning_rate = { low = 5e-4, high = 5e-3, log = true }    # a range, for random and tpe
    masks = [{ "augmentation.mask_bands" = 0, "augmentation.mask_frames" = 0 }]

An axis whose values are tables has a name of its own and changes several fields together. The first
point of every search is the base itself; `one_at_a_time` adds one for each value, changed alone.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from train.errors import DataError
from train.search.fields import change, default

Method = Literal["one_at_a_time", "grid", "random", "tpe"]
By = Literal["track_accuracy", "clip_accuracy", "track_loss"]
Coordinates = dict[str, int | float]
"""Axis to the place in its list of values, or to the value in its range."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Range(_Strict):
    """Numbers from `low` to `high`, both inclusive."""

    low: int | float
    high: int | float
    log: bool = False
    """drawn evenly on a logarithmic scale"""


def _axis(value: Any) -> Any:
    if not isinstance(value, Range | dict | list):
        raise ValueError("must be a list of values, or a range { low, high }")
    return value


class Terms(_Strict):
    """How points are made and judged, and when it is enough."""

    method: Method
    seeds: list[Annotated[int, Field(ge=0, lt=2**32)]] = Field([1], min_length=1)
    folds: int | None = Field(None, ge=2)
    by: By = "track_accuracy"
    trials: int | None = Field(None, ge=1)
    minutes: float | None = Field(None, gt=0)


class Space(_Strict):
    """A space file. Raises ValueError where it contradicts itself."""

    name: str
    search: Terms
    base: dict[str, Any] = {}
    space: dict[str, Annotated[Range | list[Any], BeforeValidator(_axis)]] = Field(min_length=1)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read and check a file, each of its values too; raise DataError for what is wrong."""
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
            # As JSON, because strict validation takes a list for a tuple only there.
            text = json.dumps({"name": path.stem, **content}, default=str)
            made = cls.model_validate_json(text)
            made._check()
        except OSError as error:
            raise DataError(f"{path} can't be read: {error.strerror}") from error
        except ValidationError as error:
            raise DataError(f"{path}: {first_fault(error)}") from error
        except ValueError as error:  # of TOML, of UTF-8 and our own
            raise DataError(f"{path}: {error}") from error
        return made

    def with_base(self, values: Mapping[str, Any]) -> Self:
        """The same space over another base."""
        return self.model_copy(update={"base": {**self.base, **values}})

    def settings(self, at: Coordinates) -> dict[str, Any]:
        """The fields that differ from the default recipe at these coordinates."""
        values = dict(self.base)
        for axis, place in at.items():
            choices = self.space[axis]
            chosen = place if isinstance(choices, Range) else choices[int(place)]
            values.update(chosen if isinstance(chosen, dict) else {axis: chosen})
        return values

    def _check(self) -> None:
        terms = self.search
        sampled = terms.method in ("random", "tpe")
        if len(set(terms.seeds)) < len(terms.seeds):
            raise ValueError("search.seeds: a seed is given twice")
        if sampled and terms.trials is None and terms.minutes is None:
            raise ValueError(f"search: {terms.method} has no end; give trials or minutes")
        change(self.base)
        for axis, choices in self.space.items():
            if not isinstance(choices, Range):
                if not choices:
                    raise ValueError(f"space.{axis}: there is no value")
            elif not sampled:
                raise ValueError(f"space.{axis}: a range is for random and tpe, not for a grid")
            elif not choices.low < choices.high or (choices.log and choices.low <= 0):
                raise ValueError(f"space.{axis}: the range has no width, or no logarithm")
            elif not isinstance(default(axis), (int, float)):
                raise ValueError(f"space.{axis}: only a number has a range")
            for values in self._alone(axis, choices):
                try:
                    change({**self.base, **values})
                except DataError as error:
                    raise ValueError(f"space.{axis}: {error}") from None

    def _alone(self, axis: str, choices: Range | list[Any]) -> Iterator[dict[str, Any]]:
        values = [choices.low, choices.high] if isinstance(choices, Range) else choices
        for value in values:
            yield value if isinstance(value, dict) else {axis: value}


def first_fault(error: ValidationError) -> str:
    """The first of the faults in one line: where, and what."""
    fault = error.errors()[0]
    return f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
