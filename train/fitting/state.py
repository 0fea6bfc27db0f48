"""The state of training after an epoch, saved so that training can resume after a kill."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from train.errors import DataError

Arrays = list[NDArray[Any]]


@dataclass(frozen=True, slots=True)
class State:
    """Everything that the next epoch depends on."""

    epoch: int
    """number of finished epochs"""
    seconds: float
    """spent on them"""
    rng: Mapping[str, Any]
    """state of the generator that draws and augments clips"""
    variables: Mapping[str, Arrays]
    """values of the variables of model (including its generators), average and optimizer"""

    def save(self, path: Path) -> None:
        """Write the state; `path` always holds a complete one, even after a power cut."""
        note = {"epoch": self.epoch, "seconds": self.seconds, "rng": self.rng}
        arrays = {
            f"{name}-{number:05d}": value
            for name, values in self.variables.items()
            for number, value in enumerate(values)
        }
        partial = path.with_name(f"partial-{path.name}")
        with partial.open("wb") as file:
            np.savez(file, allow_pickle=False, note=np.array(json.dumps(note)), **arrays)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> State:
        """Read a state; raise DataError if it is broken."""
        try:
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                note = json.loads(str(file["note"]))
                variables: dict[str, Arrays] = {}
                for key in sorted(set(file.files) - {"note"}):
                    variables.setdefault(key.rpartition("-")[0], []).append(file[key])
            return cls(note["epoch"], note["seconds"], note["rng"], variables)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"{path} can't be read: {error}") from error


def values_of(variables: Iterable[keras.Variable]) -> Arrays:
    """The values of variables, in their order."""
    return [keras.ops.convert_to_numpy(variable.value) for variable in variables]


def assign(variables: Iterable[keras.Variable], values: Arrays) -> None:
    """Set the variables; raise DataError if the values belong to another network or optimizer."""
    targets = list(variables)
    if [tuple(v.shape) for v in targets] != [value.shape for value in values]:
        raise DataError("the saved state is of another network or optimizer")
    for variable, value in zip(targets, values, strict=True):
        variable.assign(value)
