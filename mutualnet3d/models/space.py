"""The configuration space that a config's MUTUALNET node describes."""

from __future__ import annotations

import math

from mutualnet3d.configuration import ConfigurationSpace, round_even

COST_FACTORS = (0.4, 0.63, 1.0)  # per axis, of the paper's 3-D experiments


def space_from_config(cfg) -> ConfigurationSpace:
    """Widths, sizes and lengths of MUTUALNET; empty lists are filled with the paper's factors of the training clip.

    The temporal axis counts frames of the Slow pathway: DATA.NUM_FRAMES, for SlowFast divided by SLOWFAST.ALPHA.
    """
    crop, frames = cfg.DATA.TRAIN_CROP_SIZE, cfg.DATA.NUM_FRAMES
    if cfg.MODEL.ARCH in cfg.MODEL.MULTI_PATHWAY_ARCH:
        frames //= cfg.SLOWFAST.ALPHA
    spatial = tuple(cfg.MUTUALNET.SPATIAL) or tuple(
        sorted({crop if factor == 1 else round_even(crop * math.sqrt(factor)) for factor in COST_FACTORS})
    )
    temporal = tuple(cfg.MUTUALNET.TEMPORAL) or tuple(
        sorted({max(1, round(frames * factor)) for factor in COST_FACTORS})
    )
    return ConfigurationSpace(tuple(cfg.MUTUALNET.WIDTH), spatial, temporal, cfg.MUTUALNET.DIVISOR)
