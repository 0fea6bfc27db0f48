"""Run folders: the configuration and the results of training runs."""

from __future__ import annotations

import csv
import io
import json
import platform
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from serve.audio.frontend import FrontEnd
from train.data.dataset import Dataset
from train.data.source import find
from train.data.tracks import SPLITS, read_tracks, write_tracks
from train.errors import DataError
from train.fitting.recipe import Hardware, Recipe
from train.model.pinned import Pinned

_CONFIG, _METRICS, _TRACKS = "config.json", "metrics.json", "tracks.csv"
_CHECKPOINT, _STATE = "model.keras", "state.npz"


@dataclass(frozen=True, slots=True)
class Run:
    """A run, read from its folder."""

    folder: Path
    config: dict[str, Any]
    metrics: dict[str, Any]
    front_end: FrontEnd
    genres: tuple[str, ...]

    @property
    def finished(self) -> bool:
        """Whether it has a checkpoint."""
        return self.checkpoint.is_file()

    @property
    def state(self) -> Path:
        """The file with the state of its training."""
        return self.folder / _STATE

    @property
    def checkpoint(self) -> Path:
        """The file of its model, once it is finished."""
        return self.folder / _CHECKPOINT

    @property
    def tracks(self) -> Path:
        """The table of its tracks and their splits."""
        return self.folder / _TRACKS

    @property
    def measured(self) -> Run:
        """The run whose scores stand for this one: itself, or the one that it refits.

        Raises DataError if that is gone.
        """
        of = self.config.get("refit_of")
        return Run.load(Pinned(**of).path().parent) if of else self

    @property
    def audio(self) -> Path | None:
        """The folder of its data's audio files; None if unknown or gone."""
        given = self.config["data"].get("audio")
        return Path(given) if given and Path(given).is_dir() else None

    @property
    def recipe(self) -> Recipe:
        """The recipe it is trained with."""
        return Recipe.from_dict(self.config["recipe"])

    @property
    def hardware(self) -> Hardware:
        """The hardware it is computed on."""
        return Hardware(**self.config.get("hardware", {}))

    def model(self) -> keras.Model:
        """The checkpoint."""
        return keras.models.load_model(self.checkpoint)

    def dataset(self, cache: Path) -> Dataset:
        """Its data in its split, from their original folder or one in `cache`.

        Raises DataError if they are gone.
        """
        data = self.find_dataset(cache)
        if data is None:
            raise DataError(
                f"the data of {self.folder} are neither where they were nor in {cache}: "
                "make them again"
            )
        return data

    def find_dataset(self, cache: Path) -> Dataset | None:
        """As `dataset`, but None if they are gone."""
        about = self.config["data"]
        places = [Path(about["folder"])] if about.get("folder") else []
        data = find(about.get("files_sha256", about["sha256"]), [*places, cache])
        if data is None or not self.tracks.is_file():
            return data
        return data.with_tracks(read_tracks(self.tracks), about["split"])

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read a run, finished or not; raise DataError if the folder is not one."""
        try:
            config = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
            metrics = json.loads((folder / _METRICS).read_text(encoding="utf-8"))
            front_end = FrontEnd.from_dict(config["front_end"])
            genres = tuple(config["genres"])
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{folder} is not a run: {error}") from error
        return cls(folder, config, metrics, front_end, genres)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a finished run; raise DataError if the folder is not one."""
        run = cls.open(folder)
        if not run.finished:
            raise DataError(f"{folder} is not a finished run: it has no {_CHECKPOINT}")
        return run


def newest(runs: Path) -> Run:
    """The newest finished run; raise DataError if there is none."""
    finished = sorted(path.parent for path in runs.glob(f"*/{_CHECKPOINT}"))
    if not finished:
        raise DataError(f"there is no finished run in {runs}; train one first")
    return Run.load(finished[-1])


def new_folder(runs: Path, suffix: str = "") -> Path:
    """Make a folder named after the time in UTC."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime()) + suffix
    folder = runs / stamp
    number = 1
    while folder.exists():
        number += 1
        folder = runs / f"{stamp}-{number}"
    folder.mkdir(parents=True)
    return folder


def start(
    folder: Path,
    recipe: Recipe,
    data: Dataset,
    about: str,
    hardware: Hardware | None = None,
    audio: Path | None = None,
    refit_of: Pinned | None = None,
) -> Run:
    """Write the configuration of a new run into its folder, and nothing of its training yet.

    `about` describes the data, `audio` is the folder of their audio files, `refit_of` the
    checkpoint of the run that is refitted.
    """
    write_tracks(folder / _TRACKS, data.tracks)
    write_json(folder / _METRICS, {"history": []})
    configuration = _configuration(recipe, data, about, hardware or Hardware())
    configuration["data"]["audio"] = str(audio.absolute()) if audio else None
    configuration["refit_of"] = asdict(refit_of) if refit_of else None
    write_json(folder / _CONFIG, configuration)
    return Run.open(folder)


def start_whole(
    folder: Path,
    recipe: Recipe,
    data: Dataset,
    about: str,
    hardware: Hardware,
    audio: Path | None,
) -> Run:
    """As `start`, in a new folder, which appears only once it is complete."""
    # Made under another name first: an interruption leaves nothing that looks like a run.
    partial = folder.with_name(f"partial-{folder.name}")
    partial.mkdir(parents=True, exist_ok=True)
    start(partial, recipe, data, about, hardware, audio)
    partial.rename(folder)
    return Run.open(folder)


def finish(folder: Path, model: keras.Model, metrics: dict[str, Any]) -> Run:
    """Write metrics and checkpoint; the checkpoint is last, so a run that has one is complete."""
    write_json(folder / _METRICS, metrics)
    partial = folder / f"partial-{_CHECKPOINT}"
    model.save(partial)
    partial.replace(folder / _CHECKPOINT)
    (folder / _STATE).unlink(missing_ok=True)
    return Run.load(folder)


def write_json(path: Path, values: Any) -> None:
    """Write values as JSON, atomically."""
    write_text(path, json.dumps(values, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text atomically, with its own line ends."""
    partial = path.with_name(f"partial-{path.name}")
    partial.write_text(text, encoding="utf-8", newline="")
    partial.replace(path)


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV with a header, atomically."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def versions() -> dict[str, str]:
    """The versions of everything that affects the outcome of training."""
    return {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
    }


def _configuration(recipe: Recipe, data: Dataset, about: str, hardware: Hardware) -> dict[str, Any]:
    count = {split: sum(track.split == split for track in data.tracks) for split in SPLITS}
    return {
        "recipe": asdict(recipe),
        "hardware": asdict(hardware),
        "front_end": data.front_end.to_dict(),
        "genres": list(data.genres),
        "data": {
            "about": about,
            "source": data.source,
            "split": data.split_by,
            "sha256": data.digest,
            "files_sha256": data.file_digest,
            "folder": str(data.folder.absolute()) if data.folder else None,
            "tracks": {split: number for split, number in count.items() if number},
        },
        "git": _git_revision(),
        "versions": versions(),
    }


def _git_revision() -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    folder = Path(__file__).parent
    command = [git, "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    return done.stdout.strip() or None
