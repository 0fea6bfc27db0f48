"""The model beside the network that this project replaces: convolutions of 16, 32, 64, dense 128.

Both in ONNX Runtime, one call for a 10-minute track, on two threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnxruntime as ort

from benchmarks import old_way
from benchmarks.goals import Result, times_ms
from serve.inference.session import load_model
from serve.settings import Settings

_THREADS = 2
_OPSET = 18


def measure(runs: int = 20, *, clips: int = 428) -> Iterator[Result]:
    """Our model's time over that of the other, whose weights are random: they cost the same."""
    try:
        theirs = _session()
    except ImportError:
        note = "TensorFlow and tf2onnx (extra: bench) are missing"
        yield Result("the model, of the network replaced", None, note=note)
        return
    ours = load_model(Settings.from_environment().model, "cpu", _THREADS)
    rng = np.random.default_rng(0)
    mel = rng.random((clips, *ours.clip_shape), np.float32)
    ((name, shape),) = ((given.name, given.shape) for given in theirs.get_inputs())
    image = rng.random((clips, *shape[1:]), np.float32)
    taken = times_ms(
        {"ours ms": lambda: ours.run(mel), "replaced ms": lambda: theirs.run(None, {name: image})},
        runs,
    )
    yield Result.ratio(f"the model with {clips} clips, of the network replaced", taken, 1.0)


def _session() -> ort.InferenceSession:
    network = old_way.build()
    import tensorflow as tf
    import tf2onnx

    signature = [tf.TensorSpec((None, *network.input_shape[1:]), tf.float32, name="image")]

    # tf2onnx's `from_keras` doesn't know Keras 3; a traced function does the same.
    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def call(image: Any) -> Any:
        return network(image, training=False)

    converted, _ = tf2onnx.convert.from_function(call, signature, opset=_OPSET)
    options = ort.SessionOptions()
    options.intra_op_num_threads = _THREADS
    # As ours: its threads would else go on, and take the cores from the other.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(
        converted.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
