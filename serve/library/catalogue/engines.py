"""Engines that classify the shards of a catalogue: this machine, or a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Protocol

from serve.errors import BadRequest
from serve.library.catalogue.bar import Bar
from serve.library.catalogue.manifest import Manifest
from serve.library.catalogue.run import CatalogueRun
from serve.library.catalogue.shards import Shards
from serve.library.run import pipeline_for
from serve.settings import Settings


class CatalogueEngine(Protocol):
    """Classifies shards; must run in the main thread."""

    model: str
    """sha256 of the model file"""

    async def run(self, manifest: Manifest, shards: Shards, todo: Sequence[int], bar: Bar) -> None:
        """Do these shards; raise OSError or a typed error where one can't be done."""


class Here:
    """This process and its decoders; raises ModelFileError or DeviceError."""

    def __init__(self, settings: Settings) -> None:
        self._pipeline = pipeline_for(settings)
        self.model = self._pipeline.model.sha256

    async def run(self, manifest: Manifest, shards: Shards, todo: Sequence[int], bar: Bar) -> None:
        """Do these shards; raise OSError where one can't be written."""
        async with self._pipeline:
            await CatalogueRun(self._pipeline, manifest.__getitem__, shards, bar).run(todo)


def engine_for(settings: Settings, on: str | None, address: str | None) -> CatalogueEngine:
    """This machine, or with `on="ray"` a Ray cluster: the one at the address, or a new one.

    Raises BadRequest where Ray is not installed, ModelFileError or DeviceError.
    """
    if not on:
        return Here(settings)
    try:
        # Imported by name: Ray's part depends on the server, never the server on it.
        ray = import_module("deploy.scale.on_ray")
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise BadRequest("This needs Ray: pip install 'topgenre[ray]'") from None
    engine: CatalogueEngine = ray.OnRay(settings, address)
    return engine
