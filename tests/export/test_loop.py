from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from export.loop import add_loop, as_loop
from serve.inference.card import CLIPS_AT_ONCE, INPUT, ON_CPU, ModelFileError
from serve.inference.session import load_model
from tests.models import CARD, graph
from tests.outputs import assert_equal


def mel(clips: int) -> np.ndarray:
    return np.random.default_rng(clips).random((clips, 16, 128), np.float32)


@pytest.mark.parametrize("clips", [1, 2, 3, 4, 5, 6, 7])
@pytest.mark.parametrize("at_once", [1, 3, 6, 100])
def test_steps_of_any_size_say_what_the_whole_batch_does(clips: int, at_once: int) -> None:
    plain, loop = (
        onnxruntime.InferenceSession(of.SerializeToString(), providers=["CPUExecutionProvider"])
        for of in (graph(tags=3), as_loop(graph(tags=3)))
    )
    expected = plain.run(None, {INPUT: mel(clips)})
    found = loop.run(None, {INPUT: mel(clips), CLIPS_AT_ONCE: np.array(at_once)})
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_only_as_many_clips_are_worked_on_at_a_time(tmp_path) -> None:
    options = onnxruntime.SessionOptions()
    options.enable_profiling, options.profile_file_prefix = True, str(tmp_path / "profile")
    loop = as_loop(graph()).SerializeToString()
    session = onnxruntime.InferenceSession(loop, options, providers=["CPUExecutionProvider"])
    session.run(None, {INPUT: mel(7), CLIPS_AT_ONCE: np.array(3)})
    events = (tmp_path / session.end_profiling()).read_text()
    shapes = [f'"float":[{clips},16,128]' for clips in (7, 3, 1)]
    layers = [line for line in events.splitlines() if '"Log"' in line]
    assert [sum(shape in line for line in layers) for shape in shapes] == [0, 2, 1]


def saved(path, model):
    onnx.save(model, path)
    return load_model(path, "cpu", 1)


def test_a_cpu_runs_the_loop_that_the_file_carries(tmp_path) -> None:
    plain = graph(tags=3)
    helper.set_model_props(plain, CARD.to_metadata())
    carrying = onnx.ModelProto()
    carrying.CopyFrom(plain)
    add_loop(carrying)
    one, other = saved(tmp_path / "plain.onnx", plain), saved(tmp_path / "loop.onnx", carrying)
    assert [of.name for of in other.session.get_inputs()] == [INPUT, CLIPS_AT_ONCE]
    assert other.card == one.card
    assert other.clip_shape == one.clip_shape
    assert_equal(other.run(mel(40)), one.run(mel(40)))


@pytest.mark.parametrize(
    ("carried", "text"), [("?", "on_cpu is not base64"), ("AAAA", "not a model that can be loaded")]
)
def test_a_broken_loop_is_refused(tmp_path, carried: str, text: str) -> None:
    model = graph(tags=3)
    helper.set_model_props(model, CARD.to_metadata() | {ON_CPU: carried})
    with pytest.raises(ModelFileError, match=text):
        saved(tmp_path / "broken.onnx", model)
