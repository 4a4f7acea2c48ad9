"""What the fuzz tests share."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """A folder for the files of all examples."""
    return tmp_path_factory.mktemp("fuzz")
