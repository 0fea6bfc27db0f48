"""Run folders: what a training run was made from and what came out of it."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from serve.audio.frontend import FrontEnd
from train.dataset import SPLITS, Dataset
from train.errors import DataError
from train.fit import Recipe

_CONFIG, _METRICS, _CHECKPOINT = "config.json", "metrics.json", "model.keras"


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run, read back from its folder."""

    folder: Path
    config: dict[str, Any]
    metrics: dict[str, Any]
    front_end: FrontEnd
    genres: tuple[str, ...]

    def model(self) -> keras.Model:
        """The checkpoint."""
        return keras.models.load_model(self.folder / _CHECKPOINT)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a run; raise DataError where the folder is not of a finished one."""
        try:
            config = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
            metrics = json.loads((folder / _METRICS).read_text(encoding="utf-8"))
            front_end = FrontEnd.from_dict(config["front_end"])
            genres = tuple(config["genres"])
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{folder} is no finished run: {error}") from error
        if not (folder / _CHECKPOINT).is_file():
            raise DataError(f"{folder} is no finished run: it has no {_CHECKPOINT}")
        return cls(folder, config, metrics, front_end, genres)


def newest(runs: Path) -> Run:
    """The newest finished run; raise DataError where there is none."""
    finished = sorted(path.parent for path in runs.glob(f"*/{_CHECKPOINT}"))
    if not finished:
        raise DataError(f"there is no finished run in {runs}; train one first")
    return Run.load(finished[-1])


def start(runs: Path, recipe: Recipe, data: Dataset, about: str) -> Path:
    """Make the folder of a new run, named by the time in UTC, and write its configuration.

    `about` says in words what the data are.
    """
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    folder = runs / stamp
    number = 1
    while folder.exists():
        number += 1
        folder = runs / f"{stamp}-{number}"
    folder.mkdir(parents=True)
    _write(folder / _CONFIG, _configuration(recipe, data, about))
    return folder


def finish(folder: Path, model: keras.Model, metrics: dict[str, Any]) -> Run:
    """Write metrics and checkpoint; the checkpoint is last, so a run that has one is whole."""
    _write(folder / _METRICS, metrics)
    partial = folder / f"partial-{_CHECKPOINT}"
    model.save(partial)
    partial.rename(folder / _CHECKPOINT)
    return Run.load(folder)


def _configuration(recipe: Recipe, data: Dataset, about: str) -> dict[str, Any]:
    count = {split: sum(track.split == split for track in data.tracks) for split in SPLITS}
    return {
        "recipe": asdict(recipe),
        "front_end": data.front_end.to_dict(),
        "genres": list(data.genres),
        "data": {
            "about": about,
            "source": data.source,
            "split": data.split_by,
            "sha256": data.digest,
            "tracks": {split: number for split, number in count.items() if number},
        },
        "git": _git_revision(),
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
        },
    }


def _git_revision() -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    folder = Path(__file__).parent
    command = [git, "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    return done.stdout.strip() or None


def _write(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
