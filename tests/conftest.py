from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.models import write_model
from tests.server import Running, running_server


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file of three genres that needs no training."""
    return write_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="session")
def server(tiny_model: Path) -> Iterator[Running]:
    """One server for all tests that do not need settings of their own."""
    with running_server(model=tiny_model) as running:
        yield running
