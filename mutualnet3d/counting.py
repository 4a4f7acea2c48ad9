"""Multiply-adds and parameters of a configuration, counted on the very sub-network that is deployed.

The dense sub-network is built without its values (torch's meta device) and run once under torch's own counter. Papers
call these multiply-adds FLOPs; PySlowFast and pytorchvideo count the same way.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mutualnet3d.configuration import Configuration
from mutualnet3d.errors import ConfigurationError
from mutualnet3d.layers import activation_of, copy_dense


@dataclass(frozen=True)
class Complexity:
    """Cost of one view.

    Attributes:
        gmacs: 10^9 multiply-adds of convolutions, linear layers and attention products.
        mparams: 10^6 parameters of the dense sub-network.
    """

    gmacs: float
    mparams: float


def complexity(model: nn.Module, configuration: Configuration | None = None, crop: int | None = None) -> Complexity:
    """The complexity of ``model`` at ``configuration`` (default: full) for one view of a training-length clip.

    Args:
        model: a network with a ``space``; its weights are neither read nor moved.
        configuration: a member of the space.
        crop: height and width of the view in pixels, before the configuration's own scaling; default: training crop.

    Raises:
        ConfigurationError: the configuration is outside the space.
    """
    space = model.space
    configuration = space.full if configuration is None else space.check(configuration)
    crop = space.spatial[-1] if crop is None else crop
    if not isinstance(crop, int) or crop < 1:
        raise ConfigurationError(
            f"crop {crop!r} must be a whole number of pixels, at least 1: the side of a square view"
        )
    dense = copy_dense(model, activation_of(configuration, space.full), skeleton=True).eval()
    clip = torch.empty(1, model.input_channels, model.num_frames, crop, crop, device="meta")
    views = model.pathways(clip, configuration)
    whole = model.whole_frame_boxes(clip)
    boxes = None if whole is None else model.pathway_boxes(whole, clip, views)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        dense(*views, boxes=boxes)
    macs = counter.get_total_flops() // 2
    return Complexity(macs / 1e9, sum(p.numel() for p in dense.parameters()) / 1e6)
