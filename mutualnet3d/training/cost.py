"""What training costs: multiply-adds of an expected step, and the record of a run that its files carry."""

from __future__ import annotations

import math

import torch
from torch.utils.flop_counter import FlopCounterMode

from mutualnet3d.configuration import Configuration
from mutualnet3d.counting import complexities
from mutualnet3d.layers import FULL, copy_dense
from mutualnet3d.methods import Method, Slot
from mutualnet3d.models.network import AdaptiveNetwork

WIDTHS = 16  # at which the uniform width is counted, the middles of equal parts of its range; exact to 0.1 %, in
# networks of so few channels that most widths are the same to about 1 %


def expected_step_gmacs(model: AdaptiveNetwork, method: Method, share: bool = True, crop: int | None = None) -> float:
    """10^9 multiply-adds of the forward passes of one clip in an iteration, expected over the draws.

    Counted on the sub-networks themselves: every resolution is, of the uniform width ``WIDTHS`` values are. The
    backward passes cost about twice as much again, with every method; as in the paper's tables they are left out.

    Args:
        share: count what all configurations compute alike (SlowFast's Fast pathway) once, as training runs it; False
            = with every configuration, as papers add it up.
        crop: of ``complexities``; default: training crop.
    """
    places = [_possible(slot, method) for slot in method.slots]
    costs = complexities(model, {c for place in places for c in place}, crop)
    expected = sum(sum(costs[c].gmacs for c in place) / len(place) for place in places)
    return expected - (len(places) - 1) * _shared_gmacs(model, crop) if share and len(places) > 1 else expected


def paper_factor(method: Method) -> float:
    """The expected cost of an iteration over that of full, as the paper reckons it (tables III and IV).

    A configuration costs w^2 s^2 t, all relative to full; the mean of w^2 over a range is exact.
    """
    (low, high), full = method.space.width, method.space.full

    def share(slot: Slot) -> float:
        squared = (low**2 + low * high + high**2) / 3 if slot.width is None else slot.width**2
        resolutions = method.resolutions if slot.resolution is None else [slot.resolution]
        sizes = [(s / full.spatial) ** 2 * (t / full.temporal if t else 1.0) for s, t in resolutions]
        return squared / high**2 * sum(sizes) / len(sizes)

    return sum(share(slot) for slot in method.slots)


def _possible(slot: Slot, method: Method) -> list[Configuration]:
    """Configurations whose mean cost is the expected cost of ``slot``."""
    low, high = method.space.width
    middles = [low + (high - low) * (i + 0.5) / WIDTHS for i in range(WIDTHS)] if low < high else [low]
    widths = middles if slot.width is None else [slot.width]
    resolutions = method.resolutions if slot.resolution is None else [slot.resolution]
    return [Configuration(width, *resolution) for width in widths for resolution in resolutions]


def _shared_gmacs(model: AdaptiveNetwork, crop: int | None) -> float:
    """Of one clip: what ``model.shared_features`` computes once for all configurations."""
    if not model.has_fast_pathway:
        return 0.0
    crop = crop or model.space.spatial[-1]
    clip = torch.empty(1, model.input_channels, model.num_frames, crop, crop, device="meta")
    dense = copy_dense(model, FULL, skeleton=True).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        dense.fast_pathway(model.pathways(clip)[1])
    return counter.get_total_flops() / 2e9


def training_provenance(cfg, method: Method, iterations: int, clips: int, seconds: float) -> dict:
    """How weights were trained, as plain values for files.

    ``seconds`` are those of the iterations, waiting for clips included, over all parts of an interrupted run; they are
    left out if unknown (nan), which they are where a run goes on from a checkpoint of an older version.
    """
    known = {} if math.isnan(seconds) else {"seconds": round(seconds, 3)}
    teacher = "labels" if method.learns_labels() or len(method.slots) == 1 else "full"
    if teacher == "full" and method.label_epochs:
        teacher = f"labels for {method.label_epochs:g} epochs, then full"
    return {
        "method": method_name(cfg),
        "teacher": teacher,
        "iterations": iterations,
        "clips": clips,
        **known,
    }


def method_name(cfg) -> str:
    """MUTUALNET.METHOD, or ``plain`` without MUTUALNET.ENABLE."""
    return cfg.MUTUALNET.METHOD if cfg.MUTUALNET.ENABLE else "plain"


def add_training_gmacs(model: AdaptiveNetwork, cfg) -> None:
    """Add ``gmacs``, 10^9 multiply-adds of all forward passes of training, to ``model.training_provenance``.

    They are the expected step of ``cfg`` times the clips. Weights of elsewhere say nothing and stay so; with frozen
    BatchNorm the draws follow the statistics that there were, and nothing is said either.
    """
    record = model.training_provenance
    frozen = cfg.MODEL.FROZEN_BN and cfg.MUTUALNET.ENABLE
    if not frozen and "clips" in record and "gmacs" not in record and record["method"] == method_name(cfg):
        step = expected_step_gmacs(model, Method.from_cfg(cfg, model.space))
        model.training_provenance = record | {"gmacs": step * record["clips"]}
