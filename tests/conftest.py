from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.models import write_model
from tests.server import Running, running_server
from tests.standin import StandIn

# No server of the tests, in whatever process, takes answers from the machine's cache or leaves any.
os.environ["TOPGENRE_CACHE"] = "off"


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file of three genres that needs no training."""
    return write_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="session")
def server(tiny_model: Path) -> Iterator[Running]:
    """One server for all tests that do not need settings of their own."""
    with running_server(model=tiny_model) as running:
        yield running


@pytest.fixture(scope="session")
def standin() -> Iterator[StandIn]:
    with StandIn() as running:
        yield running
    assert running.errors == []


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tracks get a decoder with their first bytes, and keep it however slowly others come."""
    monkeypatch.setattr("serve.pipeline.job._ENOUGH_BYTES", 1)
    monkeypatch.setattr("serve.pipeline.job._IDLE_S", 60.0)


@pytest.fixture(autouse=True)
def _root_logger() -> Iterator[None]:
    """Gives the root logger back as it was: a server's start has it write to this test's stream."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def youtube(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """The stand-in, empty, with this process and its children taking it for YouTube.

    Whatever a test does, no request may go anywhere else.
    """
    standin.reset()
    for name, value in standin.env().items():
        monkeypatch.setenv(name, value)
    yield standin
    assert standin.refused == []
    assert standin.errors == []
