"""Results as a file, with what they were measured on."""

from __future__ import annotations

import hashlib
import json
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from serve.settings import cores

_PACKAGES = (
    *("topgenre", "av", "numpy", "scipy", "onnxruntime-gpu", "onnxruntime"),
    *("librosa", "kaldi-native-fbank", "litserve", "tensorflow", "torch", "imageio-ffmpeg"),
)


def write(folder: Path, name: str, model: Path, **content: Any) -> Path:
    """Write a JSON file of that name and the time into the folder, and tell its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / time.strftime(f"{name}-%Y%m%d-%H%M%S.json")
    machine = {
        "machine": platform.machine(),
        "cores": cores(),
        "python": platform.python_version(),
        "versions": _versions(),
        "model": hashlib.sha256(model.read_bytes()).hexdigest(),
    }
    path.write_text(json.dumps(machine | content, indent=1))
    return path


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
