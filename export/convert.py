"""Keras to ONNX by tf2onnx."""

from __future__ import annotations

from typing import Any

import keras
import onnx
import tensorflow as tf
import tf2onnx

from export.optimise import optimise
from serve.audio.frontend import FrontEnd
from serve.inference.card import INPUT, ModelCard

# Supported by tf2onnx, and by every ONNX Runtime that the project allows.
OPSET = 18


def convert(model: keras.Model, front_end: FrontEnd) -> onnx.ModelProto:
    """The model as ONNX: `mel` (clips, frames, mel bands) to the fields of `Outputs`, by name.

    The clip axis is dynamic. tf2onnx folds batch normalisation into the convolutions.
    """
    shape = [None, *front_end.clip_shape]
    signature = [tf.TensorSpec(shape, tf.float32, name=INPUT)]

    # tf2onnx's `from_keras` doesn't know Keras 3; a traced function does the same.
    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def call(mel: Any) -> Any:
        return model(mel, training=False)

    converted: onnx.ModelProto
    converted, _ = tf2onnx.convert.from_function(call, signature, opset=OPSET)
    for value in (*converted.graph.input, *converted.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "clips"
    converted.graph.name = "topgenre"
    optimise(converted)
    return converted


def describe(converted: onnx.ModelProto, card: ModelCard) -> None:
    """Write the card into the model's `metadata_props`."""
    onnx.helper.set_model_props(converted, card.to_metadata())
