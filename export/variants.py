"""Variants at lower precision: the model in fp16 and in int8.

The features (logarithm and level) and the probabilities (softmax and sigmoids) stay in float32:
rounding them would cost decibels, not just the last digits of a weight.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from export.errors import ExportError
from export.loop import without_loop
from export.parity import BATCHES, probe
from export.session import onnx_predictor, seconds_for
from serve.inference.card import INPUT
from train.data.dataset import Dataset, Float32, power
from train.scoring.scores import Scores, evaluate

# Clips per step of calibration, and in all.
_CALIBRATION_BATCH = 64
_CALIBRATION_CLIPS = 128


@dataclass(frozen=True, slots=True)
class Variant:
    """A variant's accuracy on the valid tracks, and its cost on two CPU threads."""

    name: str
    kilobytes: int
    track_accuracy: float
    clip_accuracy: float
    seconds: float
    """of one call with 428 clips"""


def measure(name: str, model: onnx.ModelProto, data: Dataset) -> Variant:
    """Measure a variant on the CPU."""
    predict = onnx_predictor(model)
    scores = evaluate(predict, data, data.of("valid"))
    seconds = seconds_for(predict, probe(data.front_end, BATCHES[-1]))
    return describe(name, model, scores, seconds)


def describe(name: str, model: onnx.ModelProto, scores: Scores, seconds: float) -> Variant:
    """A variant whose scores and seconds are known."""
    size = len(model.SerializeToString()) // 1024
    return Variant(name, size, scores.track_accuracy, scores.clip_accuracy, seconds)


def calibration_clips(data: Dataset) -> Float32:
    """Mel power of clips of the train tracks, the same number of each."""
    tracks = data.of("train")
    each = max(1, _CALIBRATION_CLIPS // len(tracks))
    return power(np.concatenate([data.clips(track)[:each] for track in tracks]))


def half(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with weights and activations from the first convolution to the logits in fp16.

    For GPUs; on a CPU it is slower. ONNX Runtime's own converter gives two nodes the same name when
    an input is used twice, as ours is.
    """
    changed = without_loop(model)
    graph = changed.graph
    parts = _parts(model)
    halves = {}
    for tensor in list(graph.initializer):
        if tensor.data_type == TensorProto.FLOAT:
            values = numpy_helper.to_array(tensor).astype(np.float16)
            halves[tensor.name] = f"{tensor.name}_half"
            graph.initializer.append(numpy_helper.from_array(values, halves[tensor.name]))
    del graph.value_info[:]  # its types are no longer true
    nodes = list(graph.node)
    del graph.node[:]
    for node in nodes:
        if node.name in parts.body:
            node.input[:] = [halves.get(name, name) for name in node.input]
        if node.name == parts.first:
            graph.node.append(_cast(node.input[0], TensorProto.FLOAT16))
            node.input[0] = graph.node[-1].output[0]
        if node.name in parts.heads:
            graph.node.append(_cast(node.input[0], TensorProto.FLOAT))
            node.input[0] = graph.node[-1].output[0]
        graph.node.append(node)
    used = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    onnx.checker.check_model(changed, full_check=True)
    return changed


def quantised(model: onnx.ModelProto, calibration: Float32) -> onnx.ModelProto:
    """The model in int8 (QDQ, per channel), its ranges from mel power (clips, frames, bands)."""
    body = _parts(model).body
    outside = [node.name for node in model.graph.node if node.name not in body]
    logging.getLogger().disabled = True  # it recommends a preprocessing that changes nothing here
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "int8.onnx")
            quantize_static(
                without_loop(model),  # it moves the weights of its argument to a file
                str(path),
                _Clips(calibration),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=outside,
            )
            return onnx.load(path)
    finally:
        logging.getLogger().disabled = False


class _Clips(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, clips: Float32) -> None:
        self._batches = self._cut(clips)

    def get_next(self) -> dict[str, Float32] | None:
        return next(self._batches, None)

    @staticmethod
    def _cut(clips: Float32) -> Iterator[dict[str, Any]]:
        for start in range(0, len(clips), _CALIBRATION_BATCH):
            yield {INPUT: clips[start : start + _CALIBRATION_BATCH]}


@dataclass(frozen=True, slots=True)
class _Parts:
    """Names of nodes: the first convolution; from there up to the logits; from these on to the
    probabilities."""

    first: str
    body: frozenset[str]
    heads: frozenset[str]


def _parts(model: onnx.ModelProto) -> _Parts:
    nodes = list(model.graph.node)
    made_by = {name: node for node in nodes for name in node.output}
    heads, after = set(), set()
    for output in model.graph.output:
        node = made_by.get(output.name)
        # After a head, nodes only reshape its outputs.
        while node is not None and node.op_type not in ("Softmax", "Sigmoid"):
            after.add(node.name)
            node = made_by.get(node.input[0])
        if node is not None:
            heads.add(node.name)
    first = next((n for n, node in enumerate(nodes) if node.op_type == "Conv"), None)
    if first is None or len(heads) != len(model.graph.output):
        raise ExportError("the graph is not features, convolutions and softmax or sigmoids")
    body = {node.name for node in nodes[first:]} - heads - after
    return _Parts(nodes[first].name, frozenset(body), frozenset(heads))


def _cast(name: str, kind: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [name], [f"{name}_cast"], f"{name}_cast", to=kind)
