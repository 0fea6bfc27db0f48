"""What there is to know of an execution provider of ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from serve.devices import Calls


class DeviceError(RuntimeError):
    """The device, or the way to call it, that was asked for can't be had."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a session will be used.

    `clip_shape` is frames and mel bands; `half` lets a provider compute in fp16 that can.
    """

    clip_shape: tuple[int, int]
    calls: Calls
    half: bool


def _no_options(_: Wanted) -> dict[str, Any]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionProvider:
    """One provider: its options, and how a model is best called on it."""

    runtime_name: str
    """as ONNX Runtime calls it"""
    options: Callable[[Wanted], dict[str, Any]] = _no_options
    present: Callable[[], bool] = lambda: True
    """whether `auto` may take it: whether its device is here, at no cost"""
    prepare: Callable[[], None] = lambda: None
    """loads what it needs beside ONNX Runtime; called before the session is made"""
    backup: str | None = None
    """the provider that takes the nodes that this one can't, if not the CPU"""
    calls: tuple[Calls, ...] = ("plain",)
    """the ways to call it, the simplest first; for any other the last is taken"""
    memory: Literal["cpu", "cuda"] = "cpu"
    """where fixed buffers lie"""
    pads: bool = True
    """whether batches are padded to a few sizes, each of which is prepared ahead"""
    loops: bool = False
    """whether it takes the graph for CPUs, and narrower sessions while cores are busy"""
    shared_clips: int = 1024
    """clips up to which waiting tracks share a call, where nothing was measured"""
    tried_clips: tuple[int, ...] = tuple(2**n for n in range(13))
    """batch sizes that `make tune` tries"""
