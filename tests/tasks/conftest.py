"""Tiny data of both tasks, and a finished run of each."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))  # movies.py, video_files.py

from task_runs import ava_cfg, charades_cfg, write_ava, write_charades

from mutualnet3d.pipeline import run


@pytest.fixture(scope="session")
def ava_data(tmp_path_factory):
    return write_ava(tmp_path_factory.mktemp("ava"))


@pytest.fixture(scope="session")
def charades_data(tmp_path_factory):
    return write_charades(tmp_path_factory.mktemp("charades"))


def finished(cfg):
    return SimpleNamespace(cfg=cfg, table=run(cfg), output=Path(cfg.OUTPUT_DIR))


@pytest.fixture(scope="session", params=["slow", "slowfast"])
def detection_run(request, ava_data, tmp_path_factory):
    """A mutual run on key frames, finished."""
    return finished(ava_cfg(request.param, ava_data, tmp_path_factory.mktemp("run") / "output"))


@pytest.fixture(scope="session", params=["frames", "segments"])
def charades_run(request, charades_data, tmp_path_factory):
    """A mutual run on videos with several labels, finished."""
    return finished(charades_cfg("slow", charades_data, tmp_path_factory.mktemp("run") / "output", request.param))
