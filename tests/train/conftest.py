from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.train import synthetic

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture(scope="session")
def gtzan_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gtzan")
    synthetic.write_folder(folder / "genres_original")
    return folder


@pytest.fixture(scope="session")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("splits") / "lists"
    synthetic.write_lists(folder)
    return folder


@pytest.fixture
def dataset_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "dataset"
    synthetic.write_dataset(folder)
    return folder
