import ctypes
from types import SimpleNamespace

import numpy as np
import pytest
from onnxruntime.capi import build_and_package_info

from serve.inference import pages
from serve.inference.providers.base import DeviceError


@pytest.fixture
def cuda(monkeypatch):
    """A CUDA runtime that notes what it is asked for."""
    asked: list[tuple[object, ...]] = []

    def register(address, size, flags):
        asked.append(("lock", address.value, size.value, flags))
        return library.status

    def unregister(address):
        asked.append(("unlock", address.value))
        return 0

    library = SimpleNamespace(
        status=0, asked=asked, cudaHostRegister=register, cudaHostUnregister=unregister
    )
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    return library


def test_all_of_an_array_is_locked_and_unlocked(cuda):
    array = np.zeros((3, 16, 128), np.float32)
    unlock = pages.lock(array)
    assert cuda.asked == [("lock", array.ctypes.data, array.nbytes, 0)]
    unlock()
    assert cuda.asked[1:] == [("unlock", array.ctypes.data)]


def test_a_refusal_is_an_error(cuda):
    cuda.status = 2
    with pytest.raises(DeviceError, match="8 bytes: its error 2"):
        pages.lock(np.zeros(2, np.float32))


def test_without_cuda_it_is_an_error(monkeypatch):
    monkeypatch.setattr(build_and_package_info, "cuda_version", "0.1", raising=False)
    with pytest.raises(DeviceError, match=r"runtime library can't be loaded: libcudart\.so\.0"):
        pages.lock(np.zeros(2, np.float32))
