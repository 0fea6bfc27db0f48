"""The model file as an ONNX Runtime session on the configured device."""

from __future__ import annotations

import base64
import binascii
import hashlib
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import onnxruntime as ort

from serve.container import cores
from serve.devices import Calls, Device, Provider
from serve.inference.card import CLIPS_AT_ONCE, INPUT, ON_CPU, ModelCard, ModelFileError
from serve.inference.feed import feed
from serve.inference.outputs import Float32, Outputs
from serve.inference.providers import PROVIDERS, Providers, choose
from serve.inference.providers import running as running_on
from serve.inference.providers.base import DeviceError, Wanted

_LOG = logging.getLogger(__name__)
_ON_CPU: Providers = [PROVIDERS["cpu"].runtime_name]


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A loaded model: its card, its digest, and the session that runs it.

    `clip_shape` is the shape of one clip's input: frames, mel bands. `provider` is what the
    session really runs on. `sessions` are those on a CPU by their threads, most first: `session`,
    and narrower ones for when there is other work.
    """

    card: ModelCard
    sha256: str
    clip_shape: tuple[int, int]
    provider: Provider
    session: ort.InferenceSession
    sessions: Mapping[int, ort.InferenceSession]

    def run(self, mel: Float32, busy_cores: int = 0) -> Outputs:
        """Its outputs for mel power (clips, frames, mel bands), in one call.

        It takes no more threads than other work leaves cores to, but one: a thread that waits for
        others burns its core, and they don't come to theirs. The numbers are the same.
        """
        session = self.session
        if busy_cores:
            free = max(1, cores() - busy_cores)
            fitting = (one for threads, one in self.sessions.items() if threads <= free)
            session = next(fitting, session)
        names = list(self.card.outputs)
        values = session.run(names, feed(session, mel))
        return Outputs.of(dict(zip(names, values, strict=True)))


def load_model(
    path: Path,
    device: Device = "auto",
    threads: int = 0,
    calls: Calls = "plain",
    *,
    half: bool = False,
) -> LoadedModel:
    """Load a self-describing model file.

    `threads` is for one call on an idle CPU, 0 for one on each core; `calls` is how a GPU will be
    called, `half` lets TensorRT compute in fp16. Raises ModelFileError for a file that is missing,
    is no model, or does not describe itself; DeviceError where another device than `auto` was
    asked for and can't be had.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"{path}: {error.strerror}") from None
    try:
        if not threads and cores() < (os.cpu_count() or 1):
            threads = cores()  # ONNX Runtime would take all that the machine has
        # First on the CPU: some providers need to know the shape of a clip.
        session = _session(content, threads, _ON_CPU)
        card = ModelCard.from_metadata(session.get_modelmeta().custom_metadata_map)
        clip_shape = _clip_shape(session, card)
        providers = choose(device, Wanted(clip_shape, calls, half))
        if len(providers) > 1:
            session = _session(content, threads, providers)
        provider = running_on(session)
        graph = content
        loops = PROVIDERS[provider].loops
        if loops and (graph := _on_cpu(session) or content) is not content:
            session = _session(graph, threads, _ON_CPU)
            _clip_shape(session, card)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from None
    if device not in ("auto", provider):
        raise DeviceError(f"{device} was asked for, but ONNX Runtime fell back to {provider}")
    _LOG.info(
        "model %s %s runs on %s (%s was asked for)", card.name, card.version, provider, device
    )
    sessions = {}
    if loops:
        widest = threads or cores()
        sessions[widest] = session
        # Half as many threads, half of that, down to one.
        for fewer in (widest >> times for times in range(1, widest.bit_length())):
            sessions[fewer] = _session(graph, fewer, _ON_CPU)
    sha256 = hashlib.sha256(content).hexdigest()
    return LoadedModel(card, sha256, clip_shape, provider, session, sessions)


def _on_cpu(session: ort.InferenceSession) -> bytes | None:
    """The graph for CPUs that a model file carries in its metadata, if it does."""
    carried = session.get_modelmeta().custom_metadata_map.get(ON_CPU)
    try:
        return base64.b64decode(carried, validate=True) if carried else None
    except binascii.Error:
        raise ModelFileError(f"its metadata {ON_CPU} is not base64") from None


@cache
def _share_memory() -> None:
    """Share one arena among all sessions on the CPU, as only one of them runs at a time."""
    kind = ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR
    ort.create_and_register_allocator(
        ort.OrtMemoryInfo("Cpu", kind, 0, ort.OrtMemType.DEFAULT), None
    )


def _session(content: bytes, threads: int, providers: Providers) -> ort.InferenceSession:
    _share_memory()
    options = ort.SessionOptions()
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.intra_op_num_threads = threads
    # Its threads would spin for 20 ms after each call, on cores that decoders need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A memory plan for each batch size would take a third more memory, and is no faster.
    options.enable_mem_pattern = False
    try:
        return ort.InferenceSession(content, options, providers=providers)
    except Exception as error:  # ONNX Runtime's own exceptions share no base but this
        raise ModelFileError(f"not a model that can be loaded: {error}") from error


def _clip_shape(session: ort.InferenceSession, card: ModelCard) -> tuple[int, int]:
    inputs = [of for of in session.get_inputs() if of.name != CLIPS_AT_ONCE]
    if [i.name for i in inputs] != [INPUT]:
        raise ModelFileError(f"its input is not {INPUT}")
    shape = inputs[0].shape
    if len(shape) != 3 or not all(isinstance(size, int) for size in shape[1:]):
        raise ModelFileError(f"its input has the shape {shape}, not (clips, frames, mel bands)")
    found = {output.name: tuple(output.shape[1:]) for output in session.get_outputs()}
    for name, of_clip in card.outputs.items():
        if name not in found:
            raise ModelFileError(f"it has no output {name}")
        if len(found[name]) != len(of_clip):
            raise ModelFileError(f"its output {name} has {1 + len(found[name])} dimensions")
        if found[name] != of_clip:
            columns = f"{found[name][0]} columns, not {of_clip[0]}"
            raise ModelFileError(f"its output {name} does not fit its metadata: {columns}")
    return shape[1], shape[2]
