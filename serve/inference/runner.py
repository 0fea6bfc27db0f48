"""How the model is called: batch sizes, and memory for inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort

from serve.devices import Calls
from serve.inference import pages
from serve.inference.buckets import bucket_for, bucket_sizes
from serve.inference.card import INPUT
from serve.inference.outputs import Float32, Outputs
from serve.inference.providers import PROVIDERS
from serve.inference.session import LoadedModel


class Runner:
    """Calls a model with batches of up to `largest` clips; ONNX Runtime manages the memory.

    If the provider `pads`, a batch is padded to one of a few sizes, each called once in `warm`.
    `busy_cores` tells how many cores have other work.
    """

    def __init__(
        self, model: LoadedModel, largest: int, busy_cores: Callable[[], int] = lambda: 0
    ) -> None:
        self.largest = largest
        self._busy_cores = busy_cores
        self.clip_shape = model.clip_shape
        self._model = model
        self._pads = PROVIDERS[model.provider].pads
        self._sizes = bucket_sizes(largest) if self._pads else (1, largest)
        # The buffer for batches, and whether the device can read no other memory.
        self._staging = np.zeros((largest, *model.clip_shape), np.float32)
        self._staged = False

    def warm(self) -> None:
        """Call the model once with each size that needs preparing; the largest allocates memory.

        To be called in the inference thread: CUDA prepares per thread.
        """
        for size in self._sizes:
            self.run(self._staging[:size])

    def batch(self, tracks: Sequence[tuple[Float32, int]]) -> Float32:
        """The clips of some tracks and the padding in one array, valid until the next batch.

        A track is an array (rows, frames, mel bands) and the clips in its first rows. If it is
        alone, and has rows to spare for the padding, nothing is copied.
        """
        clips = sum(clips for _, clips in tracks)
        size = bucket_for(clips, self._sizes) if self._pads else clips
        first = tracks[0][0]
        if len(tracks) == 1 and len(first) >= size and not self._staged:
            return first[:size]
        row = 0
        # Leftovers of an earlier batch in the other rows do no harm: clips are independent.
        for mel, clips in tracks:
            self._staging[row : row + clips] = mel[:clips]
            row += clips
        return self._staging[:size]

    def run(self, mel: Float32) -> Outputs:
        """The model's outputs for a batch."""
        return self._model.run(mel, self._busy_cores())

    def close(self) -> None:
        """Free memory that Python does not manage."""


@dataclass(frozen=True, slots=True)
class _Binding:
    input: ort.OrtValue
    outputs: dict[str, ort.OrtValue]
    io: ort.IOBinding
    options: ort.RunOptions


class BoundRunner(Runner):
    """Calls a model with fixed memory on its device, bound once for each size.

    With `pinned`, batches come from pinned memory. With `graphs` the first call with a size
    records its launches, and later ones replay them: the session must have been made for it.
    Raises DeviceError if memory can't be pinned.
    """

    def __init__(self, model: LoadedModel, largest: int, calls: Calls) -> None:
        super().__init__(model, largest)
        self._session = model.session
        self._device = PROVIDERS[model.provider].memory
        self._outputs = model.card.outputs
        self._graphs = calls == "graphs"
        self._bindings: dict[int, _Binding] = {}
        self._unlock: Callable[[], None] | None = None
        if calls in ("pinned", "graphs"):
            self._unlock = pages.lock(self._staging)
            self._staged = True

    def run(self, mel: Float32) -> Outputs:
        """The model's outputs for a batch."""
        clips = len(mel)
        if clips not in self._bindings:
            self._bindings[clips] = self._bind(clips)
        binding = self._bindings[clips]
        binding.input.update_inplace(mel)
        self._session.run_with_iobinding(binding.io, binding.options)
        # Copies: on a CPU these would be the buffers themselves, which the next call overwrites.
        return Outputs.of({name: np.array(of.numpy()) for name, of in binding.outputs.items()})

    def close(self) -> None:
        """Unpin the memory."""
        if self._unlock:
            self._unlock()
            self._unlock = None

    def _bind(self, clips: int) -> _Binding:
        def memory(of_clip: tuple[int, ...]) -> ort.OrtValue:
            shape = (clips, *of_clip)
            return ort.OrtValue.ortvalue_from_shape_and_type(shape, np.float32, self._device)

        mel = memory(self.clip_shape)
        outputs = {name: memory(of_clip) for name, of_clip in self._outputs.items()}
        io = self._session.io_binding()
        io.bind_ortvalue_input(INPUT, mel)
        for name, value in outputs.items():
            io.bind_ortvalue_output(name, value)
        options = ort.RunOptions()
        if self._graphs:  # one graph for each batch size
            options.add_run_config_entry("gpu_graph_id", str(clips))
        return _Binding(mel, outputs, io, options)


def runner_for(
    model: LoadedModel, largest: int, calls: Calls, busy_cores: Callable[[], int] = lambda: 0
) -> Runner:
    """The way to call a model in `calls`, or the closest that its provider supports."""
    ways = PROVIDERS[model.provider].calls
    way = calls if calls in ways else ways[-1]
    if way == "plain":
        return Runner(model, largest, busy_cores)
    return BoundRunner(model, largest, way)
