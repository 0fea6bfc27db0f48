"""What ONNX Runtime is told for each device: its execution providers and their options."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import onnxruntime as ort

from serve.inference.card import INPUT

Device = Literal["auto", "tensorrt", "cuda", "cpu"]
Provider = Literal["tensorrt", "cuda", "cpu"]
#: How a GPU is called: `plain` lets ONNX Runtime allocate and copy. `bound` has fixed buffers on
#: the device, `pinned` also a page-locked one on the host, `graphs` also replays recorded launches.
Calls = Literal["plain", "bound", "pinned", "graphs"]
Providers = list[str | tuple[str, dict[str, Any]]]

_NAMES: dict[Provider, str] = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
# The driver's device, and Windows' for Linux guests.
_GPU_DEVICES = ("/dev/nvidiactl", "/dev/dxg")
# TensorRT builds its engine once for all batches up to this, the best for the second. No setting
# allows a longer track or a larger shared call.
LARGEST_BATCH = 8192
_USUAL_BATCH = 512


class DeviceError(RuntimeError):
    """The device, or the way to call it, that was asked for can't be had."""


def choose(device: Device, calls: Calls, clip_shape: tuple[int, int], *, half: bool) -> Providers:
    """The providers to try, the wanted one first; raise DeviceError where it was not built in.

    `half` lets TensorRT compute in fp16. `auto` is CUDA where there is a GPU.
    """
    options: dict[Provider, dict[str, Any]] = {}
    wanted = ("cuda" if has_gpu() else "cpu") if device == "auto" else device
    if wanted == "tensorrt":
        with suppress(ImportError):  # its libraries may come as a Python package too
            import_module("tensorrt")
        options["tensorrt"] = _tensorrt(clip_shape, half)
    if wanted != "cpu":
        # The default search measures every convolution anew for each batch size, for seconds.
        options["cuda"] = {"cudnn_conv_algo_search": "HEURISTIC"}
        if calls == "graphs" and wanted == "cuda":
            options["cuda"]["enable_cuda_graph"] = "1"
    available = ort.get_available_providers()
    if device != "auto" and wanted != "cpu" and _NAMES[wanted] not in available:
        raise DeviceError(f"{device} was asked for, but this ONNX Runtime is built without it")
    chosen: Providers = [
        (_NAMES[name], values) for name, values in options.items() if _NAMES[name] in available
    ]
    if chosen:
        # The CUDA and cuDNN libraries may come as Python packages; these are loaded first.
        ort.preload_dlls()
    return [*chosen, _NAMES["cpu"]]


def running(session: ort.InferenceSession) -> Provider:
    """What a session really runs on: ONNX Runtime falls back where a device can't be had."""
    found = session.get_providers()
    return next(provider for provider, name in _NAMES.items() if name in found)


def has_gpu() -> bool:
    """Whether there is an NVIDIA GPU, as far as its driver's device tells."""
    # Asked before CUDA is tried: without a GPU that costs time and a page of complaints.
    return any(Path(device).exists() for device in _GPU_DEVICES)


def _tensorrt(clip_shape: tuple[int, int], half: bool) -> dict[str, Any]:
    def shape(clips: int) -> str:
        return f"{INPUT}:{clips}x{clip_shape[0]}x{clip_shape[1]}"

    # Without a profile it would build its engine anew for each larger batch.
    return {
        "trt_profile_min_shapes": shape(1),
        "trt_profile_opt_shapes": shape(_USUAL_BATCH),
        "trt_profile_max_shapes": shape(LARGEST_BATCH),
        "trt_fp16_enable": str(half),
    }
