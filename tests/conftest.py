"""Fixtures of all tests."""

import functools
import os
from pathlib import Path

import pytest
from tiny import write_data


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real videos and annotations, which the project does not ship; tests that ask for it skip without."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("MUTUALNET3D_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set MUTUALNET3D_DATA to the folder that holds it")
    return folder


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory) -> Path:
    """Folder of 8 + 4 tiny videos with train.csv, val.csv and test.csv."""
    return write_data(tmp_path_factory.mktemp("tiny data"))


@pytest.fixture(scope="session")
def networks():
    """``networks(case)``: a small network of tests/deployment/networks.py, built once a session."""
    from tests.deployment.networks import Network

    return functools.cache(Network)
