"""Settings of TensorFlow: seeds, precision, devices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from train.fitting.recipe import Hardware


def make_deterministic(seed: int) -> None:
    """Seed every generator and restrict TensorFlow to deterministic operations."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def strategy_of(hardware: Hardware) -> Any:
    """The distribution strategy; without GPUs, `all` is one replica on the CPU."""
    if hardware.devices == "all":
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


@contextmanager
def precision(name: str) -> Iterator[None]:
    """Layers made inside compute in this precision; their weights stay float32."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
