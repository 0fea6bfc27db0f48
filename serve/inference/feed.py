"""The inputs of a call of the model."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import onnxruntime as ort

from serve.inference.card import CLIPS_AT_ONCE, INPUT
from serve.inference.outputs import Float32

# The activations of this many clips fit into a core's own cache.
_CLIPS_PER_THREAD = 8
_LEAST_CLIPS_AT_ONCE = 16


def feed(session: ort.InferenceSession, mel: Float32) -> dict[str, Any]:
    """The inputs of a call: mel power, and for a loop over clips how many it takes at a time."""
    if CLIPS_AT_ONCE not in (of.name for of in session.get_inputs()):
        return {INPUT: mel}
    threads = session.get_session_options().intra_op_num_threads or os.cpu_count() or 1
    clips = max(_LEAST_CLIPS_AT_ONCE, _CLIPS_PER_THREAD * threads)
    return {INPUT: mel, CLIPS_AT_ONCE: np.array(clips, np.int64)}
