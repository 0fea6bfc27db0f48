"""The exported network as a loop over a few clips at a time, for CPUs.

With all clips of a track in one batch, each layer runs over all of them, and activations leave
every cache before the next layer reads them. In steps of sixteen, still in one call, 428 clips take
0.7 to 0.8 of the time and a twentieth of the memory. GPUs need the whole batch at once, so the
file's own graph is the plain one, and its metadata carry the loop.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from serve.inference.card import CLIPS_AT_ONCE, INPUT, ON_CPU

_SOME = "some_clips"


def add_loop(model: onnx.ModelProto) -> onnx.ModelProto:
    """Put the loop into a model's metadata; returns it."""
    loop = as_loop(model)
    entry = model.metadata_props.add()
    entry.key, entry.value = ON_CPU, base64.b64encode(loop.SerializeToString()).decode()
    return loop


def without_loop(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a model without the loop that it may carry."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for entry in [of for of in copy.metadata_props if of.key == ON_CPU]:
        copy.metadata_props.remove(entry)
    return copy


def as_loop(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model as a loop; a second input, `CLIPS_AT_ONCE`, is the clips per step."""
    graph = model.graph
    outputs = list(graph.output)
    constants = {"one": np.array(1), "first_axis": np.array([0])}
    before = [
        helper.make_node("Shape", [INPUT], ["shape"], start=0, end=1),
        helper.make_node("Squeeze", ["shape", "first_axis"], ["clips"]),
        # Rounded up: the last step takes what is left.
        helper.make_node("Sub", [CLIPS_AT_ONCE, "one"], ["nearly_one_step"]),
        helper.make_node("Add", ["clips", "nearly_one_step"], ["clips_and_more"]),
        helper.make_node("Div", ["clips_and_more", CLIPS_AT_ONCE], ["steps"]),
    ]
    loop = helper.make_node(
        "Loop",
        ["steps", "", *(_none_of(output.name) for output in outputs)],
        [output.name for output in outputs],
        body=_step(graph, outputs),
    )
    empty = {_none_of(output.name): np.zeros(_of_none(output), np.float32) for output in outputs}
    made = helper.make_model(
        helper.make_graph(
            [*before, loop],
            graph.name,
            [graph.input[0], helper.make_tensor_value_info(CLIPS_AT_ONCE, TensorProto.INT64, [])],
            outputs,
            [numpy_helper.from_array(of, name) for name, of in (constants | empty).items()],
        ),
        opset_imports=model.opset_import,
        ir_version=model.ir_version,
    )
    onnx.checker.check_model(made)
    return made


def _step(graph: onnx.GraphProto, outputs: Iterable[onnx.ValueInfoProto]) -> onnx.GraphProto:
    """The body of the loop: runs the network on the next clips, and appends its outputs."""
    nodes = [
        helper.make_node("Mul", ["step", CLIPS_AT_ONCE], ["from"]),
        helper.make_node("Add", ["from", CLIPS_AT_ONCE], ["to"]),
        helper.make_node("Unsqueeze", ["from", "first_axis"], ["start"]),
        helper.make_node("Unsqueeze", ["to", "first_axis"], ["end"]),
        helper.make_node("Slice", [INPUT, "start", "end", "first_axis"], [_SOME]),
        helper.make_node("Identity", ["on"], ["go_on"]),
    ]
    for node in graph.node:
        moved = onnx.NodeProto()
        moved.CopyFrom(node)
        moved.input[:] = [_SOME if name == INPUT else name for name in node.input]
        nodes.append(moved)
    takes = [
        helper.make_tensor_value_info("step", TensorProto.INT64, []),
        helper.make_tensor_value_info("on", TensorProto.BOOL, []),
    ]
    gives = [helper.make_tensor_value_info("go_on", TensorProto.BOOL, [])]
    for output in outputs:
        so_far, and_now = f"{output.name}_so_far", f"{output.name}_and_now"
        nodes.append(helper.make_node("Concat", [so_far, output.name], [and_now], axis=0))
        takes.append(helper.make_tensor_value_info(so_far, TensorProto.FLOAT, None))
        gives.append(helper.make_tensor_value_info(and_now, TensorProto.FLOAT, None))
    # Outside the body, weights would no longer be constants, and layers would not be fused.
    return helper.make_graph(nodes, "some", takes, gives, list(graph.initializer))


def _none_of(name: str) -> str:
    return f"no_{name}"


def _of_none(output: onnx.ValueInfoProto) -> tuple[int, ...]:
    return (0, *(dim.dim_value for dim in output.type.tensor_type.shape.dim[1:]))
