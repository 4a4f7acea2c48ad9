"""X3D (arXiv 2004.04730), slimmable in every layer, with the names of PySlowFast's X3D.

pyslowfast 1.0 predates X3D; its ``ResBlock`` carries the block below. Activations are plain SiLU modules.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import nn

from mutualnet3d.errors import ConfigError
from mutualnet3d.layers import make_divisible, make_slimmable
from mutualnet3d.models.heads import X3DHead
from mutualnet3d.models.resnet import BranchRule, check_common, initialise, pyslowfast_blocks
from mutualnet3d.models.video_network import VideoNetwork

STEM_TEMPORAL_KERNEL, STAGE_TEMPORAL_KERNEL = 5, 3
SE_RATIO = 0.0625
STAGE_BLOCKS = (1, 2, 5, 3)  # before X3D.DEPTH_FACTOR
STAGE_STRIDE = 2


class X3DBackbone(nn.Module):
    """The ordinary network: ``forward(view)`` with view (N, C, t, h, w) -> logits (N, K)."""

    def __init__(self, cfg):
        super().__init__()
        check_common(cfg)
        if cfg.DETECTION.ENABLE:
            raise ConfigError("X3D has no detection head; set DETECTION.ENABLE False or MODEL.ARCH slow or slowfast")
        self.s1 = nn.Module()
        channels = round_width(cfg.X3D.DIM_C1, cfg.X3D.WIDTH_FACTOR)
        self.s1.add_module("pathway0_stem", X3DStem(cfg.DATA.INPUT_CHANNEL_NUM[0], channels))
        nominal = round_width(cfg.X3D.DIM_C1, 2.0) if cfg.X3D.SCALE_RES2 else cfg.X3D.DIM_C1
        inner = 0
        for stage, blocks in enumerate(STAGE_BLOCKS, start=2):
            outer = round_width(nominal, cfg.X3D.WIDTH_FACTOR)
            inner = int(cfg.X3D.BOTTLENECK_FACTOR * outer)
            repeats = math.ceil(blocks * cfg.X3D.DEPTH_FACTOR)
            (dilation,) = cfg.RESNET.SPATIAL_DILATIONS[stage - 2]
            groups = inner if cfg.X3D.CHANNELWISE_3x3x3 else cfg.RESNET.NUM_GROUPS
            self.add_module(f"s{stage}", X3DStage(channels, inner, outer, repeats, groups, dilation))
            channels, nominal = outer, round_width(nominal, 2.0)
        self.head = X3DHead(
            channels, inner, cfg.X3D.DIM_C5, cfg.MODEL.NUM_CLASSES, cfg.MODEL.DROPOUT_RATE, cfg.X3D.BN_LIN5
        )
        initialise(self, cfg)

    def forward(self, view: torch.Tensor, boxes: None = None) -> torch.Tensor:
        x = self.s1.pathway0_stem(view)
        for stage in (self.s2, self.s3, self.s4, self.s5):
            x = stage(x)
        return self.head([x], boxes)


class X3D(VideoNetwork, X3DBackbone):
    """X3D at any configuration of its space.

    Args:
        cfg: a PySlowFast config with MODEL.ARCH ``x3d``.
    """

    dense_class = X3DBackbone

    def __init__(self, cfg):
        super().__init__(cfg)
        self.configure(cfg)
        groups = 1 if cfg.X3D.CHANNELWISE_3x3x3 else cfg.RESNET.NUM_GROUPS
        make_slimmable(self, BranchRule(self.space.divisor, groups))


class X3DStem(nn.Module):
    """1x3x3 convolution with stride 2, then 5x1x1 depthwise, BN, ReLU."""

    def __init__(self, dim_in: int, dim_out: int):
        super().__init__()
        kernel = STEM_TEMPORAL_KERNEL
        self.conv_xy = nn.Conv3d(dim_in, dim_out, (1, 3, 3), (1, 2, 2), (0, 1, 1), bias=False)
        self.conv = nn.Conv3d(dim_out, dim_out, (kernel, 1, 1), 1, (kernel // 2, 0, 0), groups=dim_out, bias=False)
        self.bn = nn.BatchNorm3d(dim_out)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.bn(self.conv(self.conv_xy(x))))


class X3DStage(nn.Module):
    """``repeats`` residual blocks, the first with stride 2; squeeze-and-excitation in every other block."""

    def __init__(self, dim_in: int, dim_inner: int, dim_out: int, repeats: int, groups: int, dilation: int):
        super().__init__()
        resnet_helper, _, _ = pyslowfast_blocks()
        for i in range(repeats):
            block = resnet_helper.ResBlock(
                dim_in if i == 0 else dim_out,
                dim_out,
                STAGE_TEMPORAL_KERNEL,
                STAGE_STRIDE if i == 0 else 1,
                partial(X3DTransform, squeeze=i % 2 == 0),
                dim_inner,
                num_groups=groups,
                dilation=dilation,
            )
            self.add_module(f"pathway0_res{i}", block)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.children():
            x = block(x)
        return x


class X3DTransform(nn.Module):
    """1x1x1 convolution, 3x3x3 channelwise convolution, squeeze-and-excitation, SiLU, 1x1x1 convolution; BN after each.

    The signature is what pyslowfast's ``ResBlock`` calls its transformation with.
    """

    def __init__(
        self,
        dim_in: int,
        dim_out: int,
        temp_kernel_size: int,
        stride: int,
        dim_inner: int,
        num_groups: int,
        stride_1x1: bool = False,
        inplace_relu: bool = True,
        dilation: int = 1,
        *,
        squeeze: bool,
    ):
        super().__init__()
        first, middle = (stride, 1) if stride_1x1 else (1, stride)
        self.a = nn.Conv3d(dim_in, dim_inner, 1, (1, first, first), bias=False)
        self.a_bn = nn.BatchNorm3d(dim_inner)
        self.a_relu = nn.ReLU(inplace=inplace_relu)
        self.b = nn.Conv3d(
            dim_inner,
            dim_inner,
            (temp_kernel_size, 3, 3),
            (1, middle, middle),
            (temp_kernel_size // 2, dilation, dilation),
            (1, dilation, dilation),
            groups=num_groups,
            bias=False,
        )
        self.b_bn = nn.BatchNorm3d(dim_inner)
        self.se = SqueezeExcitation(dim_inner) if squeeze else nn.Identity()
        self.b_relu = nn.SiLU()
        self.c = nn.Conv3d(dim_inner, dim_out, 1, bias=False)
        self.c_bn = nn.BatchNorm3d(dim_out)
        self.c_bn.transform_final_bn = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.a_relu(self.a_bn(self.a(x)))
        x = self.b_relu(self.se(self.b_bn(self.b(x))))
        return self.c_bn(self.c(x))


class SqueezeExcitation(nn.Module):
    """Channel gates from the global mean (arXiv 1709.01507); the hidden layer has 1/16 of the channels.

    torchvision's pools in 2-D only and fvcore's has other parameter names.
    """

    def __init__(self, channels: int):
        super().__init__()
        hidden = round_width(channels, SE_RATIO)
        self.fc1 = nn.Conv3d(channels, hidden, 1)
        self.fc1_act = nn.ReLU()
        self.fc2 = nn.Conv3d(hidden, channels, 1)
        self.fc2_sig = nn.Sigmoid()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate = self.fc1_act(self.fc1(x.mean((2, 3, 4), keepdim=True)))
        return x * self.fc2_sig(self.fc2(gate))


def round_width(channels: int, factor: float) -> int:
    """``channels * factor`` as a multiple of 8, never more than 10 % below; unchanged for a factor of 0."""
    return make_divisible(channels * factor, 8) if factor else channels
