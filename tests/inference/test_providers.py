from dataclasses import replace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from serve.inference.buckets import bucket_for, bucket_sizes
from serve.inference.providers import PROVIDERS, choose, cuda
from serve.inference.providers.base import DeviceError, ExecutionProvider, Wanted
from serve.inference.runner import Runner, runner_for
from serve.inference.session import load_model

CPU = "CPUExecutionProvider"
CUDA, TENSORRT = "CUDAExecutionProvider", "TensorrtExecutionProvider"
HEURISTIC = {"cudnn_conv_algo_search": "HEURISTIC"}
PROFILE = {
    "trt_profile_min_shapes": "mel:1x16x128",
    "trt_profile_opt_shapes": "mel:512x16x128",
    "trt_profile_max_shapes": "mel:8192x16x128",
    "trt_fp16_enable": "False",
}


@pytest.fixture(autouse=True)
def built_with_everything(monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [TENSORRT, CUDA, CPU])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)


@pytest.mark.parametrize(
    ("device", "gpu", "calls", "half", "expected"),
    [
        ("cpu", True, "plain", False, [CPU]),
        ("auto", False, "graphs", False, [CPU]),
        ("auto", True, "plain", False, [(CUDA, HEURISTIC), CPU]),
        ("cuda", False, "pinned", False, [(CUDA, HEURISTIC), CPU]),
        ("cuda", True, "graphs", False, [(CUDA, HEURISTIC | {"enable_cuda_graph": "1"}), CPU]),
        ("tensorrt", True, "plain", False, [(TENSORRT, PROFILE), (CUDA, HEURISTIC), CPU]),
        (
            "tensorrt",
            True,
            "graphs",
            True,
            [(TENSORRT, PROFILE | {"trt_fp16_enable": "True"}), (CUDA, HEURISTIC), CPU],
        ),
    ],
)
def test_what_is_tried_and_how(monkeypatch, device, gpu, calls, half, expected):
    monkeypatch.setattr(cuda, "has_gpu", lambda: gpu)
    assert choose(device, Wanted((16, 128), calls, half)) == expected


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_what_was_not_built_in_can_not_be_asked_for(monkeypatch, device):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    with pytest.raises(DeviceError, match=f"{device} was asked for, .* built without it"):
        choose(device, Wanted((16, 128), "plain", half=False))


def test_auto_takes_what_was_built_in(monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    monkeypatch.setattr(cuda, "has_gpu", lambda: True)
    assert choose("auto", Wanted((16, 128), "plain", half=False)) == [CPU]


def test_another_provider_takes_an_entry(monkeypatch, tiny_model):
    """As OpenVINO would; ONNX Runtime's CPU stands in for it."""
    entries: Any = PROVIDERS
    openvino = ExecutionProvider(
        runtime_name="OpenVINOExecutionProvider",
        options=lambda wanted: {"precision": "FP16" if wanted.half else "FP32"},
        calls=("plain", "bound"),
    )
    monkeypatch.setitem(entries, "openvino", openvino)
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: [openvino.runtime_name, CPU]
    )
    asked: Any = "openvino"
    chosen = choose(asked, Wanted((16, 128), "plain", half=True))
    assert chosen == [(openvino.runtime_name, {"precision": "FP16"}), CPU]

    model = replace(load_model(tiny_model, "cpu"), provider=asked)
    assert type(runner_for(model, 100, "plain")) is Runner
    bound = runner_for(model, 100, "graphs")  # the nearest that it can
    mel = np.ones((3, *model.clip_shape), np.float32)
    found = bound.run(bound.batch([(mel, 3)])).probabilities
    assert len(found) == bucket_for(3, bucket_sizes(100))
    assert np.allclose(found[:3], model.run(mel).probabilities, atol=1e-6)
