"""A tiny data set, a tiny network, and the plainest possible way to cut the views of a test video."""

import logging
from fractions import Fraction
from math import floor
from pathlib import Path

import av
import cv2
import numpy as np
import torch

import mutualnet3d as mn
from mutualnet3d.data.views import Preprocessing

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "configs" / "Demo" / "MN_SLOW_SMALL.yaml"
NUM_CLASSES, CROP, NUM_FRAMES, RATE = 3, 32, 4, 2
DEEP = ["RESNET.DEPTH", 50, "RESNET.NUM_BLOCK_TEMP_KERNEL", [[3], [4], [6], [3]]]  # the shallowest that PySlowFast has
SHORT_SIDE = 36  # of test videos with one spatial view
OVERRIDES = [
    *("RESNET.WIDTH_PER_GROUP", 8, "MODEL.NUM_CLASSES", NUM_CLASSES),
    *("DATA.NUM_FRAMES", NUM_FRAMES, "DATA.SAMPLING_RATE", RATE, "DATA.TRAIN_JITTER_SCALES", [SHORT_SIDE, 44]),
    *("DATA.TRAIN_CROP_SIZE", CROP, "DATA.TEST_CROP_SIZE", CROP),
    *("MUTUALNET.SPATIAL", [20, CROP], "MUTUALNET.TEMPORAL", [2, NUM_FRAMES], "QUERY_TABLE.WIDTHS", [0.63, 1.0]),
    *("SOLVER.MAX_EPOCH", 2, "SOLVER.WARMUP_EPOCHS", 0.5, "SOLVER.BASE_LR", 0.05),
    *("TRAIN.BATCH_SIZE", 2, "TRAIN.CHECKPOINT_PERIOD", 1, "TRAIN.EVAL_PERIOD", 2, "TEST.BATCH_SIZE", 3),
    *(
        "BN.USE_PRECISE_STATS",
        False,
        "MODEL.DROPOUT_RATE",
        0.3,
        "CALIBRATION.NUM_BATCHES",
        2,
        "LOG_PERIOD",
        1,
        "DATA_LOADER.NUM_WORKERS",
        0,
    ),
]


def tiny_cfg(*overrides):
    """A Slow of 8 channels on clips of 4 frames of 32 x 32, two sizes and two lengths."""
    return mn.load_config(RECIPE, [*OVERRIDES, *overrides])


def words(data, output, *overrides) -> list[str]:
    """A command line of that config on the lists in ``data``."""
    places = ["DATA.PATH_TO_DATA_DIR", data, "OUTPUT_DIR", output]
    return [str(word) for word in ("--cfg", RECIPE, *OVERRIDES, *places, *overrides)]


def write_data(folder: Path) -> Path:
    """8 training and 4 test videos of 3 classes (colours), with train.csv, val.csv and test.csv."""
    lines = []
    for number in range(12):
        label = number % NUM_CLASSES
        path = folder / f"video {number}.mp4"
        _write_video(path, label, number)
        lines.append(f"{path} {label}\n")
    for name, part in (("train", lines[:8]), ("val", lines[8:]), ("test", lines[8:])):
        (folder / f"{name}.csv").write_text("".join(part))
    return folder


def _write_video(path: Path, label: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (12, 40, 3)).astype(np.float64)
    coarse[..., label] = 0.5 * coarse[..., label] + 120
    scene = coarse.astype(np.uint8).repeat(4, axis=0).repeat(4, axis=1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.height, stream.width, stream.pix_fmt = 48, 60, "yuv420p"
        stream.codec_context.thread_count = 1
        for number in range(20 + seed):
            image = np.ascontiguousarray(scene[:, 2 * number : 2 * number + 60])
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def cut_views(path, num_views: int, num_crops: int, cfg) -> list[torch.Tensor]:
    """Normalised (1, 3, T, crop, crop) views of a 30 fps landscape video, in exact arithmetic."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    side = CROP if num_crops == 3 else SHORT_SIDE
    height, width = frames[0].shape[:2]
    assert width > height
    frames = [cv2.resize(f, (width * side // height, side), interpolation=cv2.INTER_LINEAR) for f in frames]
    wide = frames[0].shape[1]
    tops_lefts = [(0, 0), (0, -((CROP - wide) // 2)), (0, wide - CROP)]
    if num_crops == 1:
        tops_lefts = [(-((CROP - side) // 2), -((CROP - wide) // 2))]
    mean, std = (torch.tensor(v).view(3, 1, 1, 1) for v in (cfg.DATA.MEAN, cfg.DATA.STD))
    views = []
    for view in range(num_views):
        start = Fraction(max(len(frames) - RATE * NUM_FRAMES, 0) * view, num_views)
        step = Fraction(RATE * NUM_FRAMES - 1, NUM_FRAMES - 1)
        clip = [frames[min(floor(start + step * i), len(frames) - 1)] for i in range(NUM_FRAMES)]
        for top, left in tops_lefts:
            window = np.stack([frame[top : top + CROP, left : left + CROP] for frame in clip])
            views.append(((torch.from_numpy(window).permute(3, 0, 1, 2).float() / 255 - mean) / std)[None])
    return views


def write_export(run: Path, output: Path, **plan) -> Path:
    """An export of all configurations of a run; ``plan``: of :class:`ExportPlan`."""
    from mutualnet3d.deployment.clips import parity_clips
    from mutualnet3d.deployment.export import ExportPlan, export
    from mutualnet3d.deployment.trained import TrainedNetwork

    trained = TrainedNetwork(run)
    table = trained.table()
    wanted = ExportPlan(tuple(entry.configuration for entry in table.entries), **plan)
    export(trained, table, output, wanted, parity_clips([], trained.cfg, Preprocessing.from_cfg(trained.cfg)))
    return output


def release_logger():
    logger = logging.getLogger("mutualnet3d")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    logger.setLevel(logging.NOTSET)
    logger.propagate = True
