"""Multiply-adds and parameters of a configuration, counted on the very sub-network that is deployed.

The dense sub-network is built without its values (torch's meta device) and run under torch's own counter. Papers call
these multiply-adds FLOPs; PySlowFast and pytorchvideo count the same way.

A grid needs no run per configuration: the resolutions decide how often each layer is applied, the width how large it
is. So one run per pair of resolutions counts the uses, and one sub-network per width gives the sizes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mutualnet3d.configuration import Configuration
from mutualnet3d.errors import ConfigurationError
from mutualnet3d.layers import activation_of, copy_dense
from mutualnet3d.models.nonlocal_block import AdaptiveNonlocal


@dataclass(frozen=True)
class Complexity:
    """Cost of one view, or one image.

    Attributes:
        gmacs: 10^9 multiply-adds of convolutions, linear layers and attention products.
        mparams: 10^6 parameters of the dense sub-network.
    """

    gmacs: float
    mparams: float


def complexity(model: nn.Module, configuration: Configuration | None = None, crop: int | None = None) -> Complexity:
    """The complexity of ``model`` at ``configuration`` (default: full) for one view; see :func:`complexities`."""
    space: Any = model.space
    chosen = space.full if configuration is None else configuration
    return complexities(model, [chosen], crop)[chosen]


def complexities(
    model: nn.Module, configurations: Iterable[Configuration], crop: int | None = None
) -> dict[Configuration, Complexity]:
    """The complexity of ``model`` at each of ``configurations`` for one view of a training-length clip, or one image.

    The view is a square, for detection networks too, which are tested on whole frames, longer than high: these cost
    more, about in proportion to their area.

    Args:
        model: a network with a ``space``; its weights are neither read nor moved.
        configurations: members of the space.
        crop: height and width of the view in pixels, before the configuration's own scaling; default: training crop.

    Raises:
        ConfigurationError: a configuration is outside the space, or the crop is no number of pixels.
    """
    space: Any = model.space
    crop = space.spatial[-1] if crop is None else crop
    if isinstance(crop, bool) or not isinstance(crop, int) or crop < 1:
        raise ConfigurationError(
            f"crop {crop!r} must be a whole number of pixels, at least 1: the side of a square view"
        )
    networks: dict[float, _Network] = {}
    uses: dict[tuple[int, int | None], dict[str, int] | None] = {}
    counted = {}
    for configuration in configurations:
        width, resolution = space.check(configuration).width, (configuration.spatial, configuration.temporal)
        if width not in networks:
            networks[width] = _Network.at(model, configuration)
        network = networks[width]
        if resolution not in uses:
            uses[resolution] = _uses(_run(model, network, configuration, crop), network)
        counts = uses[resolution]
        if counts is None:
            macs = _run(model, network, configuration, crop).get_total_flops() // 2
        else:
            macs = sum(counts[name] * size for name, size in network.sizes.items())
        counted[configuration] = Complexity(macs / 1e9, network.parameters / 1e6)
    return counted


@dataclass(frozen=True)
class _Network:
    """The sub-network of a width, without values.

    Attributes:
        sizes: multiply-adds of each layer per use: its weights; of an attention, per pair of positions: its channels.
        parameters: their number.
    """

    dense: nn.Module
    sizes: dict[str, int]
    parameters: int

    @classmethod
    def at(cls, model: nn.Module, configuration: Configuration) -> _Network:
        space: Any = model.space
        dense = copy_dense(model, activation_of(configuration, space.full), skeleton=True).eval()
        sizes: dict[str, int] = {}
        for name, layer in dense.named_modules():
            if isinstance(layer, (nn.Conv2d, nn.Conv3d, nn.Linear)):
                sizes[name] = layer.weight.numel()
            elif isinstance(layer, AdaptiveNonlocal):
                theta: Any = layer.conv_theta
                sizes[name] = theta.out_channels
        return cls(dense, sizes, sum(p.numel() for p in dense.parameters()))


def _run(model: Any, network: _Network, configuration: Configuration, crop: int) -> FlopCounterMode:
    """Torch's counter after one view through ``network``, the sub-network of ``model`` at ``configuration``."""
    clip = torch.empty(model.pathway_rule.clip_shape(1, model.num_frames, crop, crop), device="meta")
    views = model.pathways(clip, configuration)
    whole = model.whole_frame_boxes(clip)
    boxes = {} if whole is None else {"boxes": model.pathway_boxes(whole, clip, views)}
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.dense(*views, **boxes)
    return counter


def _uses(counter: FlopCounterMode, network: _Network) -> dict[str, int] | None:
    """How often each layer of ``network`` was used; ``None`` if the layers do not account for everything counted.

    Then the network multiplies outside of them, and its configurations are counted one by one.
    """
    counts, root = counter.get_flop_counts(), type(network.dense).__name__
    macs = {name: sum(counts.get(f"{root}.{name}", {}).values()) // 2 for name in network.sizes}
    for name in macs:  # an attention's own products, without those of the layers inside it
        macs[name] -= sum(value for inner, value in macs.items() if inner.startswith(f"{name}."))
    if sum(macs.values()) != counter.get_total_flops() // 2:
        return None
    return {name: macs[name] // size for name, size in network.sizes.items()}
