"""Fixtures of all tests."""

import functools
import os
import shutil
import sys
import types
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: two processes of tests, and those that they start

import pytest
import torchvision
from tiny import release_logger, tiny_cfg, write_data, write_export


@pytest.fixture(autouse=True)
def logger_afterwards():
    """A command line takes the package's logger over; give it back."""
    yield
    release_logger()


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
def tiny_run(tiny_data, tmp_path_factory) -> Path:
    """Output directory of a run on the tiny videos, tested with 2 x 3 views that are summed."""
    from mutualnet3d.pipeline import run

    folder = tmp_path_factory.mktemp("tiny run")
    output, lists = folder / "output", folder / "lists"
    lists.mkdir()
    for name in ("train", "val", "test"):
        shutil.copy(tiny_data / f"{name}.csv", lists)
    (lists / "classes.txt").write_text("red\ngreen\nblue\n")
    places = ["DATA.PATH_TO_DATA_DIR", str(lists), "OUTPUT_DIR", str(output), "SOLVER.MAX_EPOCH", 1]
    run(tiny_cfg(*places, "TEST.NUM_ENSEMBLE_VIEWS", 2, "TEST.NUM_SPATIAL_CROPS", 3))
    return output


@pytest.fixture(scope="session")
def tiny_export(tiny_run, tmp_path_factory) -> Path:
    """An export of all configurations of the tiny run, with latencies."""
    return write_export(tiny_run, tmp_path_factory.mktemp("tiny export") / "export", threads=1)


@pytest.fixture(scope="session")
def networks():
    """``networks(case)``: a small network of tests/deployment/networks.py, built once for all tests."""
    from tests.deployment.networks import Network

    return functools.cache(Network)


@pytest.fixture
def pyslowfast_resnet(monkeypatch):
    """PySlowFast's own network. It imports detectron2 for RoIAlign alone, which stands in torchvision too."""
    layers = types.ModuleType("detectron2.layers")
    layers.ROIAlign = torchvision.ops.RoIAlign
    monkeypatch.setitem(sys.modules, "detectron2", types.ModuleType("detectron2"))
    monkeypatch.setitem(sys.modules, "detectron2.layers", layers)
    from slowfast.models.video_model_builder import ResNetModel

    def create(cfg):
        cfg = cfg.clone()
        cfg.MODEL.ARCH, cfg.DATA.CROP_SIZE = "slowonly", cfg.DATA.TRAIN_CROP_SIZE
        return ResNetModel(cfg)

    return create
