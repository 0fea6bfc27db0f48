"""ONNX Runtime as a function of mel power, for checks and scores."""

from __future__ import annotations

import time

import onnx
import onnxruntime

from serve.inference.feed import feed
from serve.inference.outputs import Outputs
from train.data.dataset import Float32
from train.scoring.scores import Predict

# Fixed, so that measurements don't depend on a machine's cores.
THREADS = 2


def onnx_predictor(model: onnx.ModelProto) -> Predict:
    """The model in ONNX Runtime on the CPU, with one call for all clips."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )

    names = [output.name for output in session.get_outputs()]

    def predict(mel: Float32) -> Outputs:
        return Outputs.of(dict(zip(names, session.run(names, feed(session, mel)), strict=True)))

    return predict


def seconds_for(predict: Predict, mel: Float32, repeats: int = 5) -> float:
    """Median duration of a call in seconds."""
    predict(mel)
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        predict(mel)
        times.append(time.perf_counter() - started)
    return sorted(times)[repeats // 2]
