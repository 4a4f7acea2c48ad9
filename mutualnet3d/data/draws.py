"""The random numbers of a training item."""

import numpy as np


def item_generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """What entry ``index`` is drawn with in ``epoch``: the same on every machine, whatever was drawn before."""
    key = [seed, epoch, index, 1]  # 1: apart from the draws of EpochSampler
    # Of words numpy makes the same generator as of a list, 10 microseconds sooner: a tenth of what a small image takes.
    return np.random.default_rng(np.array(key, np.uint32) if max(key) < 1 << 32 else key)
