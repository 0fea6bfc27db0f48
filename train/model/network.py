"""The network, from mel power of clips to genres, music and tags."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from serve.audio.frontend import FrontEnd
from serve.audio.mel import Float32
from serve.inference.outputs import MUSIC, PROBABILITIES, TAGS, Float64
from train.model import base
from train.model.architecture import Architecture
from train.model.logistic import mean_and_deviation
from train.model.pinned import Pinned

_BASE, _STANDARDISED = "base", "standardised"
_MUSIC_LOGIT = "music_logit"


@keras.saving.register_keras_serializable("topgenre")
class RelativeDecibels(layers.Layer):  # type: ignore[misc]
    """Mel power (n, frames, bands) to dB below the clip's loudest cell, scaled to about -1 to 1.

    This removes each clip's level, and all differences below `floor_db`: empty bands of
    band-limited audio look like quiet ones. A clip of zeros is at the floor everywhere.
    """

    def __init__(self, floor_db: float, **options: Any) -> None:
        super().__init__(**options)
        self.floor_db = floor_db

    def call(self, mel: Any) -> Any:
        """Scaled dB (n, frames, bands, 1)."""
        peak = ops.max(mel, axis=(1, 2), keepdims=True)
        relative = mel / ops.maximum(peak, 1e-20)
        log10 = ops.log(ops.maximum(relative, 10.0 ** (-self.floor_db / 10.0))) / 2.302585093
        half = self.floor_db / 20.0
        return ops.expand_dims(log10 / half + 1.0, -1)

    def get_config(self) -> dict[str, Any]:
        """The arguments that recreate the layer."""
        return {**super().get_config(), "floor_db": self.floor_db}


def build(front_end: FrontEnd, genres: int, size: Architecture) -> keras.Model:
    """A network from `mel` (n, frames, mel bands) power to the fields of `Outputs`, by name.

    Those are `probabilities` (n, genres), `music` (n,) and, on a base that has any, `tags`
    (n, tags). Its layer `logits` is the input of the softmax. Raises DataError if the base can't
    be loaded, or has another front end.
    """
    mel = keras.Input(front_end.clip_shape, name="mel", dtype="float32")
    if size.base is None:
        x = _convolutions(mel, size)
        logit = layers.Dense(1, kernel_initializer="zeros", name=_MUSIC_LOGIT, dtype="float32")(x)
        others = {MUSIC: layers.Reshape(())(layers.Activation("sigmoid", dtype="float32")(logit))}
    else:
        x, others = _on_base(mel, size.base, front_end)
    x = layers.Dropout(size.dropout, name="dropout")(x)
    logits = layers.Dense(genres, name="logits", dtype="float32")(x)
    probabilities = layers.Softmax(name="probabilities", dtype="float32")(logits)
    return keras.Model(mel, {PROBABILITIES: probabilities, **others}, name="topgenre")


def logits_of(model: keras.Model) -> keras.Model:
    """The same network and weights with the logits that are trained, by their names in `Outputs`.

    Those are the genres' logits and, without a base, the logit of music.
    """
    named = {layer.name: layer for layer in model.layers}
    heads = {PROBABILITIES: "logits", MUSIC: _MUSIC_LOGIT}
    trained = {name: named[head].output for name, head in heads.items() if head in named}
    return keras.Model(model.input, trained)


def base_variables(model: keras.Model) -> list[keras.Variable]:
    """The trainable variables of the network's base; empty without one."""
    found = [layer for layer in model.layers if layer.name == _BASE]
    return [variable for layer in found for variable in layer.trainable_variables]


def names_of(model: keras.Model) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of tags and sounds, in the order of the columns of `tags`; none without a base."""
    found = base.find(model, base.Tags)
    return (found.tags, found.sounds) if found else ((), ())


def embedding_of(model: keras.Model) -> keras.Model:
    """The base's embedding (n, features) of mel power (n, frames, mel bands)."""
    network = model.get_layer(_BASE)
    return keras.Model(network.input, network.output[base.EMBEDDING])


def set_head(model: keras.Model, embedding: Float32, kernel: Float64, bias: Float64) -> None:
    """Set the head to a linear map (features, genres) of the embedding.

    The head's input is standardised over the rows of `embedding` (n, features).
    """
    mean, deviation = mean_and_deviation(embedding)
    standardised = model.get_layer(_STANDARDISED)
    standardised.moving_mean.assign(mean)
    standardised.moving_variance.assign(deviation**2)
    weights = deviation[:, None] * kernel, bias + mean @ kernel
    model.get_layer("logits").set_weights([of.astype(np.float32) for of in weights])


def _on_base(mel: Any, pinned: Pinned, front_end: FrontEnd) -> tuple[Any, dict[str, Any]]:
    """The features for the genres, and the base's own outputs."""
    network = base.load(pinned, front_end)
    network.name = _BASE
    # Normalised with the statistics of the teacher's far larger data.
    said = network(mel, training=False)
    # Not trainable, so it always uses its moving statistics, which `set_head` sets.
    standardised = layers.BatchNormalization(
        center=False, scale=False, epsilon=1e-8, trainable=False, name=_STANDARDISED
    )(said[base.EMBEDDING])
    return standardised, {name: said[name] for name in (MUSIC, TAGS)}


def _convolutions(mel: Any, size: Architecture) -> Any:
    x = RelativeDecibels(size.floor_db, name="relative_decibels", dtype="float32")(mel)
    x = _convolution(x, size.stem, (1, 2), size.memory, "stem")
    x = layers.ReLU(name="stem_relu")(x)
    for number, channels in enumerate(size.stages, 1):
        x = _convolution(x, channels, (2, 2), size.memory, f"stage{number}_down")
        x = layers.ReLU(name=f"stage{number}_relu")(x)
        for block in range(size.blocks):
            name = f"stage{number}_block{block + 1}"
            change = _convolution(x, channels, (1, 1), size.memory, name)
            x = layers.Add(name=f"{name}_add")([x, change])
            x = layers.ReLU(name=f"{name}_relu")(x)
    return layers.GlobalAveragePooling2D(name="pool")(x)


def _convolution(x: Any, channels: int, strides: tuple[int, int], memory: float, name: str) -> Any:
    x = layers.Conv2D(
        channels,
        3,
        strides,
        "same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_convolution",
    )(x)
    return layers.BatchNormalization(momentum=memory, name=f"{name}_normalisation")(x)
