"""NVIDIA GPUs through CUDA and cuDNN."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import onnxruntime as ort

from serve.devices import Calls
from serve.inference.providers.base import ExecutionProvider, Wanted

# The driver's device, and Windows' for Linux guests.
_DEVICES = ("/dev/nvidiactl", "/dev/dxg")


def has_gpu() -> bool:
    """Whether there is an NVIDIA GPU, as far as its driver's device tells."""
    # Asked before CUDA is tried: without a GPU that costs time and a page of complaints.
    return any(Path(device).exists() for device in _DEVICES)


def _options(wanted: Wanted) -> dict[str, Any]:
    # The default search measures every convolution anew for each batch size, for seconds.
    options = {"cudnn_conv_algo_search": "HEURISTIC"}
    return options | ({"enable_cuda_graph": "1"} if wanted.calls == "graphs" else {})


def load_libraries() -> None:
    """Load CUDA's and cuDNN's libraries: they may come as Python packages."""
    ort.preload_dlls()


PROVIDER = ExecutionProvider(
    runtime_name="CUDAExecutionProvider",
    options=_options,
    present=lambda: has_gpu(),
    prepare=load_libraries,
    calls=get_args(Calls),
    memory="cuda",
)
