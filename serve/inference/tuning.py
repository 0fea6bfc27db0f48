"""The tuning file: settings measured on this machine, read when the server starts."""

from __future__ import annotations

import logging
import tomllib
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from serve.container import cores
from serve.devices import Calls, Provider
from serve.inference.session import LoadedModel, load_model
from serve.settings import Settings

_LOG = logging.getLogger(__name__)


class TuningError(ValueError):
    """A tuning file that can't be used; the text says why."""


class Tuning(BaseModel):
    """The best settings for one model on one machine, named as in `Settings`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    provider: Provider
    cores: int
    inference_threads: int = Field(ge=0, le=256)
    batch_clips: int = Field(ge=1, le=8192)
    gpu_calls: Calls

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file that `write` wrote; raise TuningError where it is another."""
        try:
            return cls.model_validate(tomllib.loads(path.read_text("utf-8")))
        except OSError as error:
            raise TuningError(str(error.strerror)) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise TuningError(f"it is not TOML: {error}") from None
        except ValidationError as error:
            names = ", ".join(str(e["loc"][0]) for e in error.errors())
            raise TuningError(f"it lacks or has wrong: {names}") from None

    def write(self, path: Path) -> None:
        """Write it as TOML."""
        lines = ["# Written by `make tune`, for one model, provider and number of cores."]
        # Numbers and plain words are written in TOML as in Python, but for the quotes.
        lines += [f"{name} = {value!r}".replace("'", '"') for name, value in self]
        path.write_text("\n".join(lines) + "\n", "utf-8")

    def check(self, model: LoadedModel) -> None:
        """Raise TuningError if it was measured with another model or on another machine."""
        found = {"sha256": model.sha256, "provider": model.provider, "cores": cores()}
        if other := [name for name, value in found.items() if getattr(self, name) != value]:
            raise TuningError(f"it was measured with another {', '.join(other)}")

    def applied(self, settings: Settings) -> Settings:
        """The settings, with measured values for those that were not set explicitly."""
        names = {"inference_threads", "batch_clips", "gpu_calls"} - settings.model_fields_set
        return settings.model_copy(update=self.model_dump(include=names))


def tuned(settings: Settings) -> tuple[Settings, LoadedModel]:
    """The settings with what was measured for this model and machine, if it was, and the model.

    Raises ModelFileError or DeviceError if the model can't be loaded.
    """
    if settings.tuning.exists():
        try:
            tuning = Tuning.read(settings.tuning)
            better = tuning.applied(settings)
            model = load(better)
            tuning.check(model)
        except TuningError as error:
            _LOG.warning("%s is ignored: %s; make tune renews it", settings.tuning, error)
        else:
            _LOG.info("tuned by %s", settings.tuning)
            return better, model
    return settings, load(settings)


def load(settings: Settings) -> LoadedModel:
    """Load the model with these settings."""
    return load_model(
        settings.model, settings.device, settings.inference_threads, settings.gpu_calls
    )
