"""Fixtures of the HTTP tests."""

import pytest


@pytest.fixture
def client(server):
    with server.client() as client:
        yield client
