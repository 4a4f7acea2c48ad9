"""The configuration space that a config's MUTUALNET node describes."""

from __future__ import annotations

import math

from fvcore.common.config import CfgNode

from mutualnet3d.architectures import is_image_network
from mutualnet3d.configuration import ConfigurationSpace, round_even

COST_FACTORS = (0.4, 0.63, 1.0)  # per axis, of the paper's 3-D experiments
IMAGE_SIZES = (128 / 224, 160 / 224, 192 / 224, 1.0)  # of the paper's 2-D experiments


def space_from_config(cfg: CfgNode) -> ConfigurationSpace:
    """Widths, sizes and lengths of MUTUALNET; empty lists are filled with the paper's factors of the training input.

    The temporal axis counts frames of the Slow pathway: DATA.NUM_FRAMES, for SlowFast divided by SLOWFAST.ALPHA. The
    space of an image network has none.
    """
    images = is_image_network(cfg)
    crop, frames = cfg.DATA.TRAIN_CROP_SIZE, cfg.DATA.NUM_FRAMES
    if cfg.MODEL.ARCH in cfg.MODEL.MULTI_PATHWAY_ARCH:
        frames //= cfg.SLOWFAST.ALPHA
    factors = IMAGE_SIZES if images else [math.sqrt(factor) for factor in COST_FACTORS]
    spatial = tuple(cfg.MUTUALNET.SPATIAL) or tuple(
        sorted({crop if factor == 1 else round_even(crop * factor) for factor in factors})
    )
    temporal = tuple(cfg.MUTUALNET.TEMPORAL) or tuple(
        sorted({max(1, round(frames * factor)) for factor in COST_FACTORS})
    )
    return ConfigurationSpace(tuple(cfg.MUTUALNET.WIDTH), spatial, None if images else temporal, cfg.MUTUALNET.DIVISOR)
