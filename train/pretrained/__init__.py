"""The shipped base, and the front end of a base, read without TensorFlow."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from serve.audio.frontend import FrontEnd
from train.errors import DataError

#: mn04 of EfficientAT, adapted to our front end; NOTICE beside it holds its licence.
BASE = Path(__file__).parent / "base.keras"
_INPUT = "topgenre>TeacherInput"


def front_end_of(base: Path) -> FrontEnd:
    """The front end of a base's file; raise DataError if it is not a base."""
    try:
        with zipfile.ZipFile(base) as archive:
            config = json.loads(archive.read("config.json"))
        (layer,) = _layers(config, _INPUT)
        return FrontEnd.from_dict(layer["config"]["front_end"])
    except OSError as error:
        raise DataError(f"{base} can't be read: {error.strerror}") from error
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        raise DataError(f"{base} is not a base: make one with `adapt`") from error


def _layers(config: Any, name: str) -> Iterator[dict[str, Any]]:
    """The layers registered under a name, at any depth."""
    if isinstance(config, dict):
        if config.get("registered_name") == name:
            yield config
        for value in config.values():
            yield from _layers(value, name)
    elif isinstance(config, list):
        for value in config:
            yield from _layers(value, name)
