"""Slow: the one-branch 3-D ResNet of SlowFast's Slow pathway (arXiv 1812.03982), slimmable in every layer."""

from __future__ import annotations

import torch
from torch import nn

from mutualnet3d.layers import make_slimmable
from mutualnet3d.models.heads import BasicHead, RoIHead
from mutualnet3d.models.resnet import BranchRule, build_stage, check_resnet, initialise, pyslowfast_blocks, run_pathway
from mutualnet3d.models.video_network import VideoNetwork

TEMPORAL_KERNELS = {1: 1, 2: 1, 3: 1, 4: 3, 5: 3}


class SlowBackbone(nn.Module):
    """The ordinary network: ``forward(slow)`` with slow (N, C, t, h, w) -> logits (N, K)."""

    def __init__(self, cfg):
        super().__init__()
        check_resnet(cfg)
        _, stem_helper, _ = pyslowfast_blocks()
        width = cfg.RESNET.WIDTH_PER_GROUP
        inner = cfg.RESNET.NUM_GROUPS * width
        kernel = TEMPORAL_KERNELS[1]
        self.s1 = stem_helper.VideoModelStem(
            dim_in=cfg.DATA.INPUT_CHANNEL_NUM[:1],
            dim_out=[width],
            kernel=[[kernel, 7, 7]],
            stride=[[1, 2, 2]],
            padding=[[kernel // 2, 3, 3]],
        )
        dim_in = width
        for stage in (2, 3, 4, 5):
            scale = 2 ** (stage - 2)
            dims = [4 * width * scale], [inner * scale]
            self.add_module(f"s{stage}", build_stage(cfg, stage, [dim_in], *dims, [[TEMPORAL_KERNELS[stage]]]))
            dim_in = 4 * width * scale
        self.head = build_head(cfg, [dim_in])
        initialise(self, cfg)

    def forward(self, slow: torch.Tensor, boxes: tuple[torch.Tensor] | None = None) -> torch.Tensor:
        x = self.s1.pathway0_stem(slow)
        for stage in (self.s2, self.s3, self.s4, self.s5):
            x = run_pathway(stage, 0, x)
        return self.head([x], boxes)


class Slow(VideoNetwork, SlowBackbone):
    """Slow at any configuration of its space, with PySlowFast's parameter names.

    Args:
        cfg: a PySlowFast config with MODEL.ARCH ``slow``.
    """

    dense_class = SlowBackbone

    def __init__(self, cfg):
        super().__init__(cfg)
        self.configure(cfg)
        make_slimmable(self, BranchRule(self.space.divisor, cfg.RESNET.NUM_GROUPS))


def build_head(cfg, channels: list[int]) -> nn.Module:
    """The classification or, with DETECTION.ENABLE, the detection head over pathways of ``channels``."""
    if not cfg.DETECTION.ENABLE:
        return BasicHead(channels, cfg.MODEL.NUM_CLASSES, cfg.MODEL.DROPOUT_RATE)
    return RoIHead(
        channels,
        cfg.MODEL.NUM_CLASSES,
        cfg.MODEL.DROPOUT_RATE,
        cfg.DETECTION.ROI_XFORM_RESOLUTION,
        cfg.DETECTION.SPATIAL_SCALE_FACTOR,
        cfg.DETECTION.ALIGNED,
    )
