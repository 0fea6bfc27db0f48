"""Pinned (page-locked) memory, which a GPU reads without a copy by the driver."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

from onnxruntime.capi import build_and_package_info

from serve.inference.outputs import Float32
from serve.inference.providers.base import DeviceError


def lock(array: Float32) -> Callable[[], None]:
    """Page-lock an array for CUDA until the returned function is called, as must be done once.

    Raises DeviceError if CUDA's library is missing or refuses.
    """
    cuda = _runtime()
    address = ctypes.c_void_p(array.ctypes.data)
    if status := cuda.cudaHostRegister(address, ctypes.c_size_t(array.nbytes), 0):
        raise DeviceError(f"CUDA can't page-lock {array.nbytes} bytes: its error {status}")

    def unlock() -> None:
        cuda.cudaHostUnregister(address)

    return unlock


def _runtime() -> ctypes.CDLL:
    # The library that ONNX Runtime has loaded, by name.
    major = getattr(build_and_package_info, "cuda_version", "").split(".")[0]
    try:
        return ctypes.CDLL(f"libcudart.so.{major}")
    except OSError as error:
        raise DeviceError(f"CUDA's runtime library can't be loaded: {error}") from None
