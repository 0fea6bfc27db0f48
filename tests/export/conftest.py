from __future__ import annotations

from pathlib import Path

import pytest

from tests.train import synthetic
from tests.train.conftest import gtzan_folder, lists

__all__ = ["gtzan_folder", "lists"]


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory, gtzan_folder: Path, lists: Path) -> Path:
    """A folder with `runs` and `data` after `python -m train` on synthesised audio."""
    from train.__main__ import main

    folder = tmp_path_factory.mktemp("workplace")
    places = ["--runs", str(folder / "runs"), "--cache", str(folder / "data")]
    short = ["--epochs", "2", "--clips-per-track", "8", "--batch", "12", "--splits", str(lists)]
    short.append("--from-scratch")
    assert main([str(gtzan_folder), *places, *short]) == 0
    assert len(synthetic.GENRES) == 3
    return folder
