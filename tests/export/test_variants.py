"""The model in smaller arithmetic, and with a temperature."""

from __future__ import annotations

import keras
import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from export import variants
from export.convert import convert
from export.errors import ExportError
from export.loop import add_loop, without_loop
from export.parity import probe
from export.session import onnx_predictor
from serve.audio.frontend import FrontEnd
from tests.models import graph
from tests.outputs import assert_close
from train.model.architecture import Architecture
from train.model.network import build

FRONT_END = FrontEnd()
MEL = probe(FRONT_END, 40)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(3)
    return build(FRONT_END, 3, Architecture(stem=4, stages=(8, 8)))


@pytest.fixture(scope="module")
def model(network: keras.Model) -> onnx.ModelProto:
    return convert(network, FRONT_END)


def test_half_keeps_the_answers_and_halves_the_weights(model: onnx.ModelProto) -> None:
    half = variants.half(model)
    assert_close(onnx_predictor(half)(MEL), onnx_predictor(model)(MEL), atol=0.01)
    for values in (*half.graph.input, *half.graph.output):
        assert values.type.tensor_type.elem_type == TensorProto.FLOAT
    kinds = {node.op_type: list(node.input) for node in half.graph.node}
    types = {tensor.name: tensor.data_type for tensor in half.graph.initializer}
    assert types[kinds["Conv"][1]] == TensorProto.FLOAT16
    # The logarithm's floor would be zero in fp16.
    floors = [numpy_helper.to_array(t) for t in half.graph.initializer if t.name in kinds["Max"]]
    assert floors
    assert all(floor.dtype == np.float32 and floor.min() > 0 for floor in floors)
    assert model.graph.initializer[0].data_type != TensorProto.FLOAT16


def test_quantised_nearly_keeps_the_answers(model: onnx.ModelProto) -> None:
    quantised = variants.quantised(model, probe(FRONT_END, 128, seed=5))
    assert "QuantizeLinear" in {node.op_type for node in quantised.graph.node}
    now, before = onnx_predictor(quantised)(MEL), onnx_predictor(model)(MEL)
    assert np.abs(now.probabilities - before.probabilities).mean() < 0.05
    assert np.abs(now.music - before.music).mean() < 0.05


def test_a_loop_in_full_precision_is_not_taken_along(model: onnx.ModelProto) -> None:
    carrying = without_loop(model)
    add_loop(carrying)
    assert len(carrying.metadata_props) == len(model.metadata_props) + 1
    assert variants.half(carrying) == variants.half(model)


def test_another_kind_of_graph_is_refused() -> None:
    with pytest.raises(ExportError, match="not features, convolutions and softmax"):
        variants.half(graph())
