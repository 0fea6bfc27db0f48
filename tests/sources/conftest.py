from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.standin import StandIn


@pytest.fixture(scope="session")
def standin() -> Iterator[StandIn]:
    with StandIn() as running:
        yield running
    assert running.errors == []


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
