"""The exported graph's rewrites change no number, and leave what they do not know alone."""

from __future__ import annotations

import keras
import onnx
import pytest
from keras import layers
from onnx import helper

from export import convert as converting
from export.convert import convert
from export.graph import node_counts
from export.optimise import optimise
from export.parity import probe
from export.session import onnx_predictor
from serve.audio.frontend import FrontEnd
from tests.models import graph
from tests.outputs import assert_close

FRONT_END = FrontEnd()
MEL = probe(FRONT_END, 9)


def hard_swish(x):
    return x * keras.ops.relu6(x + 3.0) / 6.0


def network(*, exciting: bool = True, scale: float = 6.0, keep_channels_last: bool = False):
    """A block as MobileNetV3 has it, under the heads that every network of ours has."""
    keras.utils.set_random_seed(1)
    mel = keras.Input(FRONT_END.clip_shape, name="mel")
    x = layers.Reshape((*FRONT_END.clip_shape, 1))(keras.ops.log(mel + 1e-3))
    x = layers.Conv2D(8, 3, 2, "same")(x)
    x = x * keras.ops.relu6(x + 3.0) / scale
    if exciting:
        squeezed = layers.GlobalAveragePooling2D()(x)
        excited = layers.Dense(8, activation="sigmoid")(layers.Dense(4, "relu")(squeezed))
        x = x * layers.Reshape((1, 1, 8))(excited)
    x = layers.Conv2D(8, 1)(x)
    x = keras.ops.cumsum(x, axis=3) if keep_channels_last else x
    pooled = layers.GlobalAveragePooling2D()(hard_swish(x))
    music = layers.Reshape(())(layers.Dense(1, activation="sigmoid")(pooled))
    probabilities = layers.Softmax()(layers.Dense(3)(pooled))
    return keras.Model(mel, {"probabilities": probabilities, "music": music})


@pytest.fixture
def as_it_was(monkeypatch):
    """Convert without the rewrites."""

    def converted(model):
        with monkeypatch.context() as patch:
            patch.setattr(converting, "optimise", lambda model: None)
            return convert(model, FRONT_END)

    return converted


def test_mobile_nets_blocks_are_rewritten(as_it_was):
    model = network()
    before, after = as_it_was(model), convert(model, FRONT_END)
    assert node_counts(before)["Clip"] == 2
    counts = node_counts(after)
    assert "Clip" not in counts
    assert (counts["HardSigmoid"], counts["GlobalAveragePool"]) == (2, 2)
    assert counts.get("Transpose", 0) < node_counts(before)["Transpose"]
    assert len(after.graph.node) < len(before.graph.node)
    onnx.checker.check_model(after, full_check=True)
    assert_close(onnx_predictor(after)(MEL), onnx_predictor(before)(MEL), atol=1e-5)


@pytest.mark.parametrize(
    ("other", "kept"),
    [({"scale": 5.0}, "Clip"), ({"keep_channels_last": True}, "CumSum"), ({"exciting": False}, "")],
)
def test_other_forms_give_the_same_numbers(as_it_was, other, kept):
    model = network(**other)
    after = convert(model, FRONT_END)
    assert not kept or kept in node_counts(after)
    assert_close(onnx_predictor(after)(MEL), onnx_predictor(as_it_was(model))(MEL), atol=1e-5)


def test_a_graph_without_these_forms_stays_as_it_is():
    model = graph(tags=2)
    nodes = [helper.printable_node(node) for node in model.graph.node]
    optimise(model)
    assert [helper.printable_node(node) for node in model.graph.node] == nodes
    onnx.checker.check_model(model, full_check=True)
