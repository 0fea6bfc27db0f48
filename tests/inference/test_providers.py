import onnxruntime
import pytest

from serve.inference import providers
from serve.inference.providers import DeviceError, choose

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
    monkeypatch.setattr(providers, "has_gpu", lambda: gpu)
    assert choose(device, calls, (16, 128), half=half) == expected


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_what_was_not_built_in_can_not_be_asked_for(monkeypatch, device):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    with pytest.raises(DeviceError, match=f"{device} was asked for, .* built without it"):
        choose(device, "plain", (16, 128), half=False)


def test_auto_takes_what_was_built_in(monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    monkeypatch.setattr(providers, "has_gpu", lambda: True)
    assert choose("auto", "plain", (16, 128), half=False) == [CPU]
