"""Statistics of configurations from training clips: which clips, and where they came from."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch.utils.data import Sampler

from mutualnet3d.calibration import calibrate, discard_statistics
from mutualnet3d.configuration import Configuration
from mutualnet3d.data import Entries, EpochSampler, describe_list, normalise, train_dataset, train_loader
from mutualnet3d.distributed import ALONE, Processes
from mutualnet3d.errors import CheckpointError
from mutualnet3d.layers import slimmable_norms
from mutualnet3d.models.artefact import check_space, load_state, read_checkpoint
from mutualnet3d.models.network import AdaptiveNetwork
from mutualnet3d.progress import show_progress
from mutualnet3d.training.device import choose_device

_logger = logging.getLogger(__name__)


def calibrate_on_list(
    model: AdaptiveNetwork,
    cfg,
    entries: Entries,
    configurations: Sequence[Configuration],
    processes: Processes = ALONE,
) -> None:
    """Compute the statistics of ``configurations`` on the training clips that CALIBRATION asks for.

    Every process takes each ``world_size``-th batch; all end with the same statistics.
    """
    batches = calibration_batches(cfg, entries)
    if slimmable_norms(model):
        _logger.info("calibrating %d configurations on %d batches", len(configurations), batches)
    else:
        _logger.info("%d configurations need no statistics: the network has no BatchNorm", len(configurations))
    size = cfg.CALIBRATION.BATCH_SIZE
    clips = training_batches(cfg, entries, batches, batch_size=size, share=processes)
    source = statistics_source(cfg, entries, size)
    with show_progress("calibrating", len(processes.share_of(batches)), "batches") as steps:
        calibrate(model, steps.over(clips), configurations, source=source, processes=processes)


def calibration_batches(cfg, entries: Entries) -> int:
    """CALIBRATION.NUM_BATCHES, or as many as hold CALIBRATION.NUM_CLIPS clips."""
    if not cfg.CALIBRATION.NUM_CLIPS:
        return cfg.CALIBRATION.NUM_BATCHES
    return math.ceil(cfg.CALIBRATION.NUM_CLIPS / batch_size_of(cfg, entries, cfg.CALIBRATION.BATCH_SIZE))


def statistics_source(cfg, entries: Entries, batch_size: int = 0) -> dict:
    """Where statistics computed on :func:`training_batches` come from, as plain values."""
    return describe_list(entries, cfg, "train") | {
        "batch_size": batch_size_of(cfg, entries, batch_size),
        "seed": cfg.RNG_SEED + 1,
    }


def batch_size_of(cfg, entries: Entries, batch_size: int = 0) -> int:
    """``batch_size``, or TRAIN.BATCH_SIZE where that is 0; never more than there are videos."""
    return min(batch_size or cfg.TRAIN.BATCH_SIZE, len(entries))


def training_batches(
    cfg,
    entries: Entries,
    num_batches: int,
    epoch: int = 0,
    batch_size: int = 0,
    share: Processes = ALONE,
) -> Iterator[torch.Tensor]:
    """``num_batches`` normalised batches (N, 3, [T,] H, W) of training clips, for calibration; always the same ones.

    The seed differs from training's, so that the clips are other ones than those the weights were last fitted to. Of
    several processes each decodes and gives every ``world_size``-th of these batches.
    """
    clips = train_dataset(entries, cfg, cfg.RNG_SEED + 1)
    size = batch_size_of(cfg, entries, batch_size)
    keys: list[tuple[int, int]] = []
    while len(keys) < num_batches * size:
        keys += EpochSampler(len(clips), cfg.RNG_SEED + 1, epoch, size)
        epoch += 1
    own = [key for batch in share.share_of(num_batches) for key in keys[batch * size : (batch + 1) * size]]
    device = choose_device(cfg)
    if not own:
        return
    for batch in train_loader(clips, _Keys(own, size), cfg):
        yield normalise(batch.clips.to(device, non_blocking=True), cfg.DATA.MEAN, cfg.DATA.STD)


class _Keys(Sampler):
    """Keys that are known beforehand, for ``train_loader``."""

    def __init__(self, keys: list[tuple[int, int]], batch_size: int):
        self.keys, self.batch_size = keys, batch_size

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self.keys)


def adopt_statistics(model: AdaptiveNetwork, cfg, entries: Entries, path: str | os.PathLike) -> None:
    """Take the statistics in the file ``path`` if computing them again could only give the same.

    That is: the file is there and readable, its space, weights and running statistics are those of ``model``, and it
    says of its statistics that they come from the clips that CALIBRATION asks for.
    """
    if not Path(path).is_file():
        return
    try:
        stored_entries = read_checkpoint(path)
        check_space(stored_entries, model, path)
    except CheckpointError as error:
        _logger.info("statistics are computed anew: %s", error)
        return
    stored, own = stored_entries["model_state"], model.state_dict()
    if any(name not in stored or not torch.equal(stored[name], value.cpu()) for name, value in own.items()):
        return
    load_state(stored_entries, model, path)
    wanted = statistics_source(cfg, entries, cfg.CALIBRATION.BATCH_SIZE) | {
        "batches": calibration_batches(cfg, entries)
    }
    full, provenance = model.space.full, model.statistics_provenance
    fitting = [c for c in model.calibrated if c != full and wanted.items() <= provenance.get(c, {}).items()]
    discard_statistics(model, [c for c in model.calibrated if c != full and c not in fitting])
    if fitting:
        _logger.info("statistics of %d configurations are taken from %s", len(fitting), path)
