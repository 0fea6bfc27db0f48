"""The model file as an ONNX Runtime session on the device that was asked for."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from serve.inference.card import INPUT, OUTPUT, ModelCard, ModelFileError

_LOG = logging.getLogger(__name__)
Float32 = NDArray[np.float32]
Device = Literal["auto", "cuda", "cpu"]

_CUDA, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
# The driver's device, and Windows' for Linux guests.
_GPU_DEVICES = ("/dev/nvidiactl", "/dev/dxg")
# The default search measures every convolution anew for each batch size, for seconds.
_CUDA_OPTIONS = {"cudnn_conv_algo_search": "HEURISTIC"}


class DeviceError(RuntimeError):
    """The device that was asked for can't be had."""


@dataclass(frozen=True, slots=True)
class Model:
    """A loaded model: what it says of itself, its digest, and the session that runs it.

    `clip_shape` is the shape of one clip's input: frames, mel bands. `provider` is what the
    session really runs on, `cuda` or `cpu`.
    """

    card: ModelCard
    sha256: str
    clip_shape: tuple[int, int]
    provider: Literal["cuda", "cpu"]
    session: ort.InferenceSession

    def run(self, mel: Float32) -> Float32:
        """Probabilities (clips, genres) of mel power (clips, frames, mel bands), in one call."""
        (probabilities,) = self.session.run([OUTPUT], {INPUT: mel})
        return np.asarray(probabilities)


def load_model(path: Path, device: Device = "auto", threads: int = 0) -> Model:
    """Load a self-describing model file.

    `threads` is for one call on the CPU, 0 for one on each core. Raises ModelFileError for a file
    that is missing, is no model, or does not describe itself; DeviceError where `cuda` was asked
    for and can't be had.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"{path}: {error.strerror}") from None
    try:
        session = _session(content, device, threads)
        card = ModelCard.from_metadata(session.get_modelmeta().custom_metadata_map)
        clip_shape = _clip_shape(session, card)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from None
    provider: Literal["cuda", "cpu"] = "cuda" if _CUDA in session.get_providers() else "cpu"
    if device == "cuda" and provider == "cpu":
        raise DeviceError("cuda was asked for, but ONNX Runtime fell back to the CPU")
    _LOG.info(
        "model %s %s runs on %s (%s was asked for)", card.name, card.version, provider, device
    )
    return Model(card, hashlib.sha256(content).hexdigest(), clip_shape, provider, session)


def _session(content: bytes, device: Device, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    providers: list[str | tuple[str, dict[str, Any]]] = [_CPU]
    if device == "cuda" or (device == "auto" and _has_gpu()):
        if _CUDA in ort.get_available_providers():
            # The CUDA and cuDNN libraries may come as Python packages; these are loaded first.
            ort.preload_dlls()
            providers.insert(0, (_CUDA, _CUDA_OPTIONS))
        elif device == "cuda":
            raise DeviceError("cuda was asked for, but this ONNX Runtime is built without it")
    try:
        return ort.InferenceSession(content, options, providers=providers)
    except Exception as error:  # ONNX Runtime's own exceptions share no base but this
        raise ModelFileError(f"not a model that can be loaded: {error}") from error


def _has_gpu() -> bool:
    # Asked before CUDA is tried: without a GPU that costs time and a page of complaints.
    return any(Path(device).exists() for device in _GPU_DEVICES)


def _clip_shape(session: ort.InferenceSession, card: ModelCard) -> tuple[int, int]:
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if [i.name for i in inputs] != [INPUT] or OUTPUT not in [o.name for o in outputs]:
        raise ModelFileError(f"its input and output are not {INPUT} and {OUTPUT}")
    shape = inputs[0].shape
    if len(shape) != 3 or not all(isinstance(size, int) for size in shape[1:]):
        raise ModelFileError(f"its input has the shape {shape}, not (clips, frames, mel bands)")
    genres = next(o for o in outputs if o.name == OUTPUT).shape[-1]
    if genres != len(card.genres):
        raise ModelFileError(f"it has {genres} outputs for {len(card.genres)} genres")
    return shape[1], shape[2]
