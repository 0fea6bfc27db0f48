"""Where a model can run and how it is called there, by the names that settings and answers use."""

from typing import Literal

#: An ONNX Runtime execution provider; each is a module of `serve.inference.providers`.
Provider = Literal["tensorrt", "cuda", "cpu"]
#: What can be asked for; `auto` is the best that is there.
Device = Literal["auto", Provider]
#: How a GPU is called: `plain` lets ONNX Runtime allocate and copy. `bound` has fixed buffers on
#: the device, `pinned` also a page-locked one on the host, `graphs` also replays recorded launches.
Calls = Literal["plain", "bound", "pinned", "graphs"]
