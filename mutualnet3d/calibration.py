"""Calibration: BatchNorm statistics of configurations, recomputed with frozen weights.

For each configuration the population statistics of every BatchNorm's input over all batches are stored in the model
(section 3.1 of the paper; the estimator is that of precise BN, arXiv 2105.07576). Batches are outside and
configurations inside: each clip is decoded and moved to the device once, and what all configurations compute alike
(SlowFast's Fast pathway) is computed once, however many configurations read it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import nn

from mutualnet3d.configuration import Configuration
from mutualnet3d.layers import (
    PopulationStatistics,
    SlimmableBatchNorm2d,
    SlimmableBatchNorm3d,
    activation_of,
    eval_mode,
)


@torch.no_grad()
def calibrate(
    model: nn.Module,
    batches: Iterable,
    configurations: Sequence[Configuration],
) -> None:
    """Store the statistics of ``configurations`` in ``model``, computed over ``batches``.

    Weights, the statistics of other configurations and, unless full is asked for, the running statistics stay
    bit-identical. Dropout is off. The full configuration's statistics replace the running ones (precise BN).

    Args:
        model: an adaptive network (``mutualnet3d.models.AdaptiveNetwork``, or what has its methods).
        batches: an iterable of clips (N, C, T, H, W) as the model eats them, moved to its device as needed.
        configurations: members of the space.

    Raises:
        ConfigurationError: a configuration is outside the space.
        ValueError: there are no batches or no configurations.
    """
    if isinstance(configurations, Configuration):
        raise TypeError(f"configurations must be a sequence; pass [{configurations!r}]")
    configurations = list(dict.fromkeys(model.space.check(c) for c in configurations))
    if not configurations:
        raise ValueError("no configurations to calibrate; pass for example model.space.grid()")
    norms = _norms(model)
    collected = {c: [PopulationStatistics() for _ in norms] for c in configurations}
    common = [PopulationStatistics() for _ in norms]
    device = next(model.parameters()).device
    count = 0
    with eval_mode(model):  # observed BatchNorms use the batch whatever their mode; dropout is off
        for batch in batches:
            count += 1
            if not isinstance(batch, torch.Tensor):
                raise TypeError(
                    f"batches must be clips (N, C, T, H, W), got a {type(batch).__name__}; of (clip, label) pairs pass "
                    "(clip for clip, _ in loader)"
                )
            clip = batch.to(device, non_blocking=True)
            with _observing(norms, common):
                shared = model.shared_features(clip)
            for configuration in configurations:
                with _observing(norms, collected[configuration]):
                    model(clip, configuration, model.whole_frame_boxes(clip), shared=shared)
    if not count:
        raise ValueError("no batches to calibrate on; pass an iterable with at least one batch of training clips")
    for configuration in configurations:
        activation = activation_of(configuration, model.space.full)
        for norm, own, shared in zip(norms, collected[configuration], common, strict=True):
            seen = own if own.count else shared
            if not (torch.isfinite(seen.mean).all() and torch.isfinite(seen.var).all()):
                raise ValueError(
                    f"statistics of {configuration} are not finite: the clips or the weights hold nan or inf"
                )
            norm.store_statistics(activation, seen.mean, seen.var)


def discard_statistics(model: nn.Module) -> None:
    """Forget the statistics of all configurations but full: they belong to weights that are about to change."""
    for norm in _norms(model):
        norm.statistics = {}


def _norms(model: nn.Module) -> list[nn.Module]:
    return [m for m in model.modules() if isinstance(m, (SlimmableBatchNorm2d, SlimmableBatchNorm3d))]


@contextlib.contextmanager
def _observing(norms: list[nn.Module], collectors: list[PopulationStatistics]) -> Iterator[None]:
    for norm, collector in zip(norms, collectors, strict=True):
        norm.observed = collector
    try:
        yield
    finally:
        for norm in norms:
            norm.observed = None
