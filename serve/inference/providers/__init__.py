"""The execution providers of ONNX Runtime, and which of them a session gets."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import Any, get_args

import onnxruntime as ort

from serve.devices import Device, Provider
from serve.inference.providers.base import DeviceError, ExecutionProvider, Wanted

#: A session's providers, with their options, in the order in which they are tried.
Providers = list[str | tuple[str, dict[str, Any]]]

#: All that are known, the most special first; each is what its module calls `PROVIDER`.
PROVIDERS: dict[Provider, ExecutionProvider] = {
    name: import_module(f"{__name__}.{name}").PROVIDER for name in get_args(Provider)
}


def choose(device: Device, wanted: Wanted) -> Providers:
    """The providers to try, the wanted one first; raise DeviceError where it was not built in.

    `auto` is the first whose device is present.
    """
    built_in = ort.get_available_providers()
    name: str | None = device
    if device == "auto":
        name = next(of for of, provider in PROVIDERS.items() if provider.present())
    elif PROVIDERS[device].runtime_name not in built_in:
        raise DeviceError(f"{device} was asked for, but this ONNX Runtime is built without it")
    chosen: Providers = []
    while name not in (None, "cpu"):
        provider = PROVIDERS[name]  # type: ignore[index]
        if provider.runtime_name in built_in:
            provider.prepare()
            chosen.append((provider.runtime_name, provider.options(wanted)))
        name = provider.backup
        wanted = replace(wanted, calls="plain")  # a backup only gets what the first can't do
    return [*chosen, PROVIDERS["cpu"].runtime_name]


def running(session: ort.InferenceSession) -> Provider:
    """What a session really runs on: ONNX Runtime falls back where a device can't be had."""
    found = session.get_providers()
    return next(name for name, provider in PROVIDERS.items() if provider.runtime_name in found)
