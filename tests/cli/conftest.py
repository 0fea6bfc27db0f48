"""`classify` with the tiny model, in a process of its own."""

import subprocess

import pytest

from tests.cli.commands import ROOT, command


@pytest.fixture
def environment(tiny_model, monkeypatch):
    monkeypatch.setenv("TOPGENRE_MODEL", str(tiny_model))
    monkeypatch.setenv("TOPGENRE_DECODERS", "2")
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def run(environment):
    def run(*arguments, **options):
        options = {"capture_output": True, "text": True} | options
        done = subprocess.run(command(*arguments), cwd=ROOT, timeout=60, **options)
        assert "Traceback" not in (done.stderr or "")
        return done

    return run
