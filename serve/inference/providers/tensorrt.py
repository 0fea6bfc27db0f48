"""NVIDIA GPUs through TensorRT, which compiles the model for the one that is there."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import Any

from serve.inference.card import INPUT
from serve.inference.providers.base import ExecutionProvider, Wanted
from serve.inference.providers.cuda import load_libraries

# TensorRT builds its engine once for all batches up to this, the best for the second. No setting
# allows a longer track or a larger shared call.
LARGEST_BATCH = 8192
_USUAL_BATCH = 512


def _options(wanted: Wanted) -> dict[str, Any]:
    def shape(clips: int) -> str:
        return f"{INPUT}:{clips}x{wanted.clip_shape[0]}x{wanted.clip_shape[1]}"

    # Without a profile it would build its engine anew for each larger batch.
    return {
        "trt_profile_min_shapes": shape(1),
        "trt_profile_opt_shapes": shape(_USUAL_BATCH),
        "trt_profile_max_shapes": shape(LARGEST_BATCH),
        "trt_fp16_enable": str(wanted.half),
    }


def _prepare() -> None:
    with suppress(ImportError):  # its libraries may come as a Python package
        import_module("tensorrt")
    load_libraries()


PROVIDER = ExecutionProvider(
    runtime_name="TensorrtExecutionProvider",
    options=_options,
    present=lambda: False,  # compiling takes minutes: only who asks for it gets it
    prepare=_prepare,
    backup="cuda",
    calls=("plain", "bound", "pinned"),
    memory="cuda",
)
