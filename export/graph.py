"""Checks and statistics of an exported graph."""

from __future__ import annotations

from collections import Counter

import onnx

from export.errors import ExportError
from serve.audio.frontend import FrontEnd
from serve.inference.card import INPUT, ModelCard

_FLOAT = onnx.TensorProto.FLOAT


def check(model: onnx.ModelProto, card: ModelCard) -> None:
    """Raise ExportError if names, types or shapes are not those of the card."""
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"the graph is not valid: {error}") from error
    clip_shape = FrontEnd.from_dict(card.front_end).clip_shape
    _check_ends("inputs", list(model.graph.input), {INPUT: clip_shape})
    _check_ends("outputs", list(model.graph.output), card.outputs)
    found = node_counts(model)
    if left := {"BatchNormalization", "Loop", "If", "Cast"} & found.keys():
        raise ExportError(f"the graph still has {', '.join(sorted(left))}")


def node_counts(model: onnx.ModelProto) -> dict[str, int]:
    """The number of nodes of each operator, most frequent first."""
    return dict(Counter(node.op_type for node in model.graph.node).most_common())


def parameters(model: onnx.ModelProto) -> int:
    """The number of parameters: values in the graph's floating-point initialisers."""
    total = 0
    for tensor in model.graph.initializer:
        if tensor.data_type == _FLOAT:
            count = 1
            for dim in tensor.dims:
                count *= dim
            total += count
    return total


def _check_ends(
    what: str, values: list[onnx.ValueInfoProto], expected: dict[str, tuple[int, ...]]
) -> None:
    tensors = {value.name: value.type.tensor_type for value in values}
    if tensors.keys() != expected.keys():
        raise ExportError(f"the graph's {what} are {sorted(tensors)}, not {sorted(expected)}")
    for name, of_clip in expected.items():
        tensor = tensors[name]
        first, *rest = tensor.shape.dim
        if tensor.elem_type != _FLOAT or first.HasField("dim_value"):
            raise ExportError(f"{name} is not float32 with a dynamic clip axis")
        if tuple(dim.dim_value for dim in rest) != of_clip:
            raise ExportError(f"{name} has the shape {[d.dim_value for d in rest]}, not {of_clip}")
