"""What an exported graph has to be, and what it is made of."""

from __future__ import annotations

from collections import Counter

import onnx

from export.errors import ExportError
from serve.audio.frontend import FrontEnd
from serve.inference.card import INPUT, OUTPUT

_FLOAT = onnx.TensorProto.FLOAT


def check(model: onnx.ModelProto, front_end: FrontEnd, genres: int) -> None:
    """Raise ExportError where names, types or shapes are not the contract's."""
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"the graph is not valid: {error}") from error
    _check_end("input", list(model.graph.input), INPUT, front_end.clip_shape)
    _check_end("output", list(model.graph.output), OUTPUT, (genres,))
    found = node_counts(model)
    if left := {"BatchNormalization", "Loop", "If", "Cast"} & found.keys():
        raise ExportError(f"the graph still has {', '.join(sorted(left))}")


def node_counts(model: onnx.ModelProto) -> dict[str, int]:
    """How many nodes of each kind the graph has, most first."""
    return dict(Counter(node.op_type for node in model.graph.node).most_common())


def parameters(model: onnx.ModelProto) -> int:
    """Numbers in the graph's floating-point initialisers."""
    total = 0
    for tensor in model.graph.initializer:
        if tensor.data_type == _FLOAT:
            count = 1
            for dim in tensor.dims:
                count *= dim
            total += count
    return total


def _check_end(
    what: str, values: list[onnx.ValueInfoProto], name: str, shape: tuple[int, ...]
) -> None:
    if [value.name for value in values] != [name]:
        raise ExportError(f"the graph's {what}s are {[v.name for v in values]}, not {name}")
    tensor = values[0].type.tensor_type
    first, *rest = tensor.shape.dim
    if tensor.elem_type != _FLOAT or first.HasField("dim_value"):
        raise ExportError(f"{name} is not float32 with a dynamic clip axis")
    if tuple(dim.dim_value for dim in rest) != shape:
        raise ExportError(f"{name} has the shape {[d.dim_value for d in rest]}, not {shape}")
