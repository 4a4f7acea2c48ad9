"""Fixtures of the data path: a small config, readable videos, an unreadable one."""

from pathlib import Path

import pytest
from video_files import write_video

from mutualnet3d.config import get_cfg


@pytest.fixture
def cfg():
    """Small clips: 4 frames at rate 2, crops of 32, four classes, no worker processes."""
    cfg = get_cfg()
    cfg.DATA.NUM_FRAMES, cfg.DATA.SAMPLING_RATE = 4, 2
    cfg.DATA.TRAIN_JITTER_SCALES, cfg.DATA.TRAIN_CROP_SIZE, cfg.DATA.TEST_CROP_SIZE = [36, 44], 32, 32
    cfg.DATA.DECODING_BACKEND = "pyav"
    cfg.MODEL.NUM_CLASSES, cfg.DATA_LOADER.NUM_WORKERS, cfg.NUM_GPUS = 4, 0, 0
    return cfg


@pytest.fixture(scope="session")
def videos(tmp_path_factory) -> list[Path]:
    """Six readable videos, the last one portrait, with blanks in the folder's name."""
    folder = tmp_path_factory.mktemp("six videos")
    sizes = [(48, 64)] * 5 + [(64, 48)]
    return [write_video(folder / f"video {n}.mp4", 20 + n, size) for n, size in enumerate(sizes)]


@pytest.fixture(scope="session")
def broken(tmp_path_factory) -> Path:
    """Text that is named .mp4."""
    path = tmp_path_factory.mktemp("broken") / "text.mp4"
    path.write_text("this is no video\n" * 100)
    return path
