import json

import onnx
import pytest
from rich.console import Console

from benchmarks import gpu
from benchmarks.__main__ import main
from export.loop import without_loop
from export.variants import half
from serve.inference.providers.base import DeviceError
from serve.inference.runner import BoundRunner, Runner
from serve.inference.session import load_model
from serve.settings import MODELS

MODEL = MODELS / "topgenre.onnx"


@pytest.fixture
def on_cpu(monkeypatch, tmp_path):
    """The CPU in place of a GPU, with a GPU's graph; memory can't be page-locked there."""
    asked = []
    bare = tmp_path / "bare.onnx"

    def load(path, device, *, calls, half):
        asked.append((device, calls, half))
        if device == "tensorrt":
            raise DeviceError("no TensorRT")
        onnx.save(without_loop(onnx.load(path)), bare)
        return load_model(bare, "cpu")

    def runner_for(model, largest, calls):
        return Runner(model, largest) if calls == "plain" else BoundRunner(model, largest, "bound")

    monkeypatch.setattr(gpu, "has_gpu", lambda: True)
    monkeypatch.setattr(gpu, "load_model", load)
    monkeypatch.setattr(gpu, "runner_for", runner_for)
    monkeypatch.setattr(gpu, "SIZES", (1, 3))
    return asked


def test_without_a_gpu_it_says_so(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(gpu, "has_gpu", lambda: False)
    monkeypatch.setattr("sys.argv", ["benchmarks", "gpu", "--out", str(tmp_path / "out")])
    assert main() == 1
    assert "There is no NVIDIA GPU here: nothing was measured." in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_every_variant_and_size_is_measured(on_cpu, tmp_path, capsys):
    assert gpu.main(MODEL, 3, tmp_path) == 0
    assert [(device, calls) for device, calls, _ in on_cpu] == [*gpu._VARIANTS] * 2
    assert [half for *_, half in on_cpu] == [False] * 5 + [True] * 5
    (path,) = tmp_path.glob("gpu-*.json")
    timings = json.loads(path.read_text())
    assert {(t["variant"], t["clips"]) for t in timings} == {
        (f"cuda {calls} {precision}", n)
        for calls in ("plain", "bound", "pinned", "graphs")
        for precision in ("fp32", "fp16")
        for n in (1, 3)
    }
    for timing in timings:
        assert 0 < timing["p50_ms"] <= timing["p99_ms"]
        assert timing["difference"] <= (1e-6 if "fp32" in timing["variant"] else 0.05)
    shown = capsys.readouterr().out
    assert "tensorrt pinned fp32: no TensorRT" in shown
    assert "pays best: cuda" in shown


def test_a_gpu_that_can_not_be_used_ends_it(on_cpu, tmp_path, monkeypatch):
    def load(path, device, *, calls, half):
        raise DeviceError("no driver")

    monkeypatch.setattr(gpu, "load_model", load)
    with pytest.raises(SystemExit, match="can't be used"):
        gpu.main(MODEL, 1, tmp_path)


def test_fp16_differs_by_what_is_measured(tmp_path):
    path = tmp_path / "fp16.onnx"
    onnx.save(half(onnx.load(MODEL)), path)
    runners = {
        name: Runner(load_model(model, "cpu"), 5)
        for name, model in (("fp32", MODEL), ("fp16", path))
    }
    timings = gpu.measure(runners, (5,), 1, Console())
    assert timings[0].difference == 0
    assert 0 < timings[1].difference < 0.05


def test_what_hardly_pays_is_not_called_best():
    def timings(**p50):
        return [
            gpu.Timing(variant, n, ms, ms, 0.0) for variant, ms in p50.items() for n in (1, 428)
        ]

    assert gpu.best(timings(plain=1.0, bound=0.97)) == "plain"
    assert gpu.best(timings(plain=1.0, bound=0.5, graphs=0.49)) == "bound"
