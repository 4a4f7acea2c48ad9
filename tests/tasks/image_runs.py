"""A tiny run on images, and the plainest possible way to a network's scores."""

import numpy as np
import torch
from PIL import Image
from tiny import ROOT

import mutualnet3d as mn

RECIPE = ROOT / "configs" / "Demo" / "MN_CIFAR_SMALL.yaml"
NAMES, CROP = ("ant", "bee", "cat"), 16
OVERRIDES = [
    *(
        "MODEL.NUM_CLASSES",
        3,
        "DATA.TRAIN_CROP_SIZE",
        CROP,
        "DATA.TEST_CROP_SIZE",
        CROP,
        "MUTUALNET.SPATIAL",
        [12, CROP],
    ),
    *("QUERY_TABLE.WIDTHS", [0.5, 1.0], "CALIBRATION.NUM_CLIPS", 8, "CALIBRATION.BATCH_SIZE", 4),
    *("SOLVER.MAX_EPOCH", 2, "SOLVER.WARMUP_EPOCHS", 0.5, "SOLVER.LABEL_SMOOTHING", 0.1, "BN.USE_PRECISE_STATS", False),
    *("TRAIN.BATCH_SIZE", 4, "TEST.BATCH_SIZE", 5, "TRAIN.CHECKPOINT_PERIOD", 1, "LOG_PERIOD", 1),
    *("DATA_LOADER.NUM_WORKERS", 0),
]


def words(data, output, *overrides) -> list:
    """Keys and values of the tiny run."""
    return [*OVERRIDES, "DATA.PATH_TO_DATA_DIR", str(data), "OUTPUT_DIR", str(output), *overrides]


def image_cfg(data, output, *overrides):
    """A wide ResNet of 16, 32 and 64 channels on images of 16 x 16, two sizes and two widths."""
    return mn.load_config(RECIPE, words(data, output, *overrides))


def plain_scores(model, cfg, path, configuration) -> torch.Tensor:
    """Probabilities (K,) of an image of 16 x 16 pixels."""
    with Image.open(path) as image:
        pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None] / 255
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (cfg.DATA.MEAN, cfg.DATA.STD))
    with torch.no_grad():
        return model((pixels - mean) / std, configuration).softmax(1)[0]
