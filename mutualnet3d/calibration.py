"""Calibration: BatchNorm statistics of configurations, recomputed with frozen weights.

For each configuration the population statistics of every BatchNorm's input over all batches are stored in the model
(section 3.1 of the paper; the estimator is that of precise BN, arXiv 2105.07576). Batches are outside and
configurations inside: each clip is decoded and moved to the device once, and what all configurations compute alike
(SlowFast's Fast pathway) is computed once, however many configurations read it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import nn

import mutualnet3d
from mutualnet3d.configuration import Configuration
from mutualnet3d.distributed import ALONE, Processes
from mutualnet3d.layers import (
    PopulationStatistics,
    SlimmableBatchNorm2d,
    SlimmableBatchNorm3d,
    activation_of,
    eval_mode,
    slimmable_norms,
)
from mutualnet3d.provenance import now


@torch.no_grad()
def calibrate(
    model: nn.Module,
    batches: Iterable,
    configurations: Sequence[Configuration],
    *,
    source: dict | None = None,
    processes: Processes = ALONE,
) -> None:
    """Store the statistics of ``configurations`` in ``model``, computed over ``batches``.

    Weights, the statistics of other configurations and, unless full is asked for, the running statistics stay
    bit-identical. Dropout is off. The full configuration's statistics replace the running ones (precise BN).
    ``model.statistics_provenance[configuration]`` then says where they come from: ``source``, and the numbers of
    batches and clips, the date and the version of this package. A network without BatchNorm needs no statistics: of
    it no batch is read, and only this is noted.

    Args:
        model: an adaptive network (``mutualnet3d.models.AdaptiveNetwork``, or what has its methods).
        batches: an iterable of clips (N, C, T, H, W), or images (N, C, H, W), as the model eats them; they are moved
            to its device as needed.
        configurations: members of the space.
        source: plain values that describe the batches: the list, the seed.
        processes: each of several processes passes its own share of the batches, possibly none; the samples of all are
            pooled exactly, and every process stores the same statistics.

    Raises:
        ConfigurationError: a configuration is outside the space.
        ValueError: there are no configurations, or no batches for a network with BatchNorm; or the statistics are not
            finite.
        TypeError: ``configurations`` is a single one, or a batch is no tensor.
    """
    if isinstance(configurations, Configuration):
        raise TypeError(f"configurations must be a sequence; pass [{configurations!r}]")
    network: Any = model
    configurations = list(dict.fromkeys(network.space.check(c) for c in configurations))
    if not configurations:
        raise ValueError("no configurations to calibrate; pass for example model.space.grid()")
    norms = slimmable_norms(model)
    sizes = _compute(model, norms, batches, configurations, processes) if norms else []
    entry = (source or {}) | {
        "batches": len(sizes),
        "clips": sum(sizes),
        "date": now(),
        "mutualnet3d": mutualnet3d.__version__,
    }
    known = getattr(model, "statistics_provenance", {})
    network.statistics_provenance = known | {c: dict(entry) for c in configurations}


def _compute(
    model: Any,
    norms: list[SlimmableBatchNorm2d | SlimmableBatchNorm3d],
    batches: Iterable,
    configurations: Sequence[Configuration],
    processes: Processes,
) -> list[int]:
    """Store the statistics of ``configurations`` in the ``norms``; the sizes of all batches of all processes."""
    collected = {c: [PopulationStatistics() for _ in norms] for c in configurations}
    common = [PopulationStatistics() for _ in norms]
    device = next(model.parameters()).device
    sizes: list[int] = []
    with eval_mode(model):  # observed BatchNorms use the batch whatever their mode; dropout is off
        for batch in batches:
            if not isinstance(batch, torch.Tensor):
                raise TypeError(
                    f"batches must be clips (N, C, T, H, W) or images (N, C, H, W), got a {type(batch).__name__}; of "
                    "pairs with labels pass (clip for clip, _ in loader)"
                )
            sizes.append(len(batch))
            clip = batch.to(device, non_blocking=True)
            with _observing(norms, common):
                shared = model.shared_features(clip)
            for configuration in configurations:
                with _observing(norms, collected[configuration]):
                    model(clip, configuration, model.whole_frame_boxes(clip), shared=shared)
    sizes = [size for part in processes.all_gather(sizes) for size in part]
    if not sizes:
        raise ValueError(
            "no batches to calibrate on; pass an iterable with at least one batch of training clips or images"
        )
    common = _pooled(common, processes)
    seen = {
        c: [own if own.count else shared for own, shared in zip(_pooled(collected[c], processes), common, strict=True)]
        for c in configurations
    }
    for configuration, statistics in seen.items():  # all of them, before any is stored
        if not all(torch.isfinite(each.mean).all() and torch.isfinite(each.var).all() for each in statistics):
            raise ValueError(f"statistics of {configuration} are not finite: the clips or the weights hold nan or inf")
    for configuration, statistics in seen.items():
        activation = activation_of(configuration, model.space.full)
        for norm, each in zip(norms, statistics, strict=True):
            norm.store_statistics(activation, each.mean, each.var)
    return sizes


def discard_statistics(model: Any, configurations: Iterable[Configuration] | None = None) -> None:
    """Forget the statistics of ``configurations``, and where they come from.

    By default of all: those but full's, whose running statistics stay, belong to weights that are about to change.
    """
    provenance = getattr(model, "statistics_provenance", {})
    gone = None if configurations is None else set(configurations)
    for norm in slimmable_norms(model):
        norm.statistics = {} if gone is None else {c: s for c, s in norm.statistics.items() if c not in gone}
    model.statistics_provenance = {} if gone is None else {c: p for c, p in provenance.items() if c not in gone}


def _pooled(own: list[PopulationStatistics], processes: Processes) -> list[PopulationStatistics]:
    """The statistics of every layer over the samples of all processes."""
    if processes.world_size == 1:
        return own
    parts = processes.all_gather([each.cpu() for each in own])
    pooled = [PopulationStatistics() for _ in own]
    for part in parts:
        for total, each in zip(pooled, part, strict=True):
            total.merge(each)
    return pooled


@contextlib.contextmanager
def _observing(
    norms: list[SlimmableBatchNorm2d | SlimmableBatchNorm3d], collectors: list[PopulationStatistics]
) -> Iterator[None]:
    for norm, collector in zip(norms, collectors, strict=True):
        norm.observed = collector
    try:
        yield
    finally:
        for norm in norms:
            norm.observed = None
