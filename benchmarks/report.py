"""Results as JSON, with what they were measured on, and as a page beside it."""

from __future__ import annotations

import hashlib
import importlib
import json
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info

from benchmarks import page
from serve.container import cores

#: What has to be alike for numbers to be compared.
ALIKE = ("machine", "processor", "cores", "model")
_PACKAGES = (
    *("topgenre", "av", "numpy", "scipy", "onnxruntime-gpu", "onnxruntime"),
    *("librosa", "kaldi-native-fbank", "litserve", "tensorflow", "torch", "imageio-ffmpeg"),
)


def write(folder: Path, name: str, model: Path, **content: Any) -> Path:
    """Write a JSON file of that name and the time into the folder, and a page; tell its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / time.strftime(f"{name}-%Y%m%d-%H%M%S.json")
    document = {
        "what": name,
        "time": time.strftime("%Y-%m-%d %H:%M:%S"),
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": cores(),
        "python": platform.python_version(),
        "versions": _versions(),
        "blas": blas(),
        "model": hashlib.sha256(model.read_bytes()).hexdigest(),
        **content,
    }
    path.write_text(json.dumps(document, indent=1))
    path.with_suffix(".html").write_text(page.render(document))
    return path


def blas() -> list[str]:
    """The BLAS of NumPy and SciPy: its name, version and the kernel that was chosen here.

    Which one that is hangs on the processor and the environment, and shows in what is measured.
    """
    importlib.import_module("scipy.linalg")  # it may have a library of its own
    found = (one for one in threadpool_info() if one["user_api"] == "blas")
    return sorted(
        {
            f"{one['internal_api']} {one['version'] or '?'}, {one.get('architecture', '?')}"
            for one in found
        }
    )


def _processor() -> str:
    """The processor's name as Linux has it; elsewhere what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor())


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
