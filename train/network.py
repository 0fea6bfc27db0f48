"""The network: mel power of clips to the probabilities of genres."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from serve.audio.frontend import FrontEnd
from train.architecture import Architecture


@keras.saving.register_keras_serializable("topgenre")
class RelativeDecibels(layers.Layer):  # type: ignore[misc]
    """Mel power (n, frames, bands) to dB below the clip's loudest cell, scaled to about -1 to 1.

    Level is taken out clip by clip, and what lies below `floor_db` with it: empty bands of
    band-limited audio look like quiet ones. A clip of zeros is well defined: floor everywhere.
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
        """What the layer is made again from."""
        return {**super().get_config(), "floor_db": self.floor_db}


def build(front_end: FrontEnd, genres: int, size: Architecture) -> keras.Model:
    """A network from `mel` (n, frames, mel bands) power to `probabilities` (n, genres).

    Its layer `logits` gives what the softmax is taken of.
    """
    mel = keras.Input(front_end.clip_shape, name="mel", dtype="float32")
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
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dropout(size.dropout, name="dropout")(x)
    logits = layers.Dense(genres, name="logits", dtype="float32")(x)
    probabilities = layers.Softmax(name="probabilities", dtype="float32")(logits)
    return keras.Model(mel, probabilities, name="topgenre")


def logits_of(model: keras.Model) -> keras.Model:
    """The same network (and weights) up to its logits."""
    return keras.Model(model.input, model.get_layer("logits").output)


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
