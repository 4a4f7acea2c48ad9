"""The parts of PySlowFast's video ResNets that Slow and SlowFast share, built from pyslowfast's own blocks."""

from __future__ import annotations

import logging
import math
import warnings

import torch
import torch.fx
from torch import nn

from mutualnet3d.errors import ConfigError
from mutualnet3d.layers import Channels
from mutualnet3d.models.nonlocal_block import AdaptiveNonlocal
from mutualnet3d.operators import group_frames, ungroup_frames

torch.fx.wrap("group_frames")
torch.fx.wrap("ungroup_frames")

_logger = logging.getLogger(__name__)

STAGE_DEPTHS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


def pyslowfast_blocks():
    """The modules ``resnet_helper``, ``stem_helper`` and ``weight_init_helper`` of pyslowfast 1.0.

    Imported on first use: they pull fvcore in, which announces torch's own deprecations.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from slowfast.models import resnet_helper, stem_helper
        from slowfast.utils import weight_init_helper
    return resnet_helper, stem_helper, weight_init_helper


def check_resnet(cfg) -> None:
    """ConfigError for keys that would silently build another network than the config asks for."""
    if cfg.RESNET.DEPTH not in STAGE_DEPTHS:
        raise ConfigError(f"RESNET.DEPTH {cfg.RESNET.DEPTH} is not one of {sorted(STAGE_DEPTHS)}")
    if cfg.RESNET.TRANS_FUNC != "bottleneck_transform":
        raise ConfigError(f"RESNET.TRANS_FUNC {cfg.RESNET.TRANS_FUNC!r} is not supported; use 'bottleneck_transform'")
    check_common(cfg)


def check_common(cfg) -> None:
    """ConfigError for keys of PySlowFast that no network here honours."""
    if cfg.MODEL.DROPCONNECT_RATE:
        raise ConfigError(f"MODEL.DROPCONNECT_RATE {cfg.MODEL.DROPCONNECT_RATE} is not supported; set it to 0.0")
    if cfg.BN.NORM_TYPE not in ("batchnorm", "sync_batchnorm"):
        raise ConfigError(f"BN.NORM_TYPE {cfg.BN.NORM_TYPE!r} is not supported; use 'batchnorm' or 'sync_batchnorm'")


def build_stage(
    cfg, stage: int, dim_in: list[int], dim_out: list[int], dim_inner: list[int], kernels: list
) -> nn.Module:
    """Stage 2..5 of a video ResNet, PySlowFast's ``ResStage``; the lists have one entry a pathway."""
    resnet_helper, _, _ = pyslowfast_blocks()
    index = stage - 2
    pathways = len(dim_in)
    depth = STAGE_DEPTHS[cfg.RESNET.DEPTH][index]
    keys = {
        "RESNET.SPATIAL_STRIDES": cfg.RESNET.SPATIAL_STRIDES,
        "RESNET.SPATIAL_DILATIONS": cfg.RESNET.SPATIAL_DILATIONS,
        "RESNET.NUM_BLOCK_TEMP_KERNEL": cfg.RESNET.NUM_BLOCK_TEMP_KERNEL,
        "NONLOCAL.LOCATION": cfg.NONLOCAL.LOCATION,
        "NONLOCAL.GROUP": cfg.NONLOCAL.GROUP,
    }
    for key, value in keys.items():
        if len(value) != 4 or len(value[index]) != pathways:
            raise ConfigError(f"{key} {value} must list {pathways} value(s) for each of the 4 stages")
    if any(count > depth for count in cfg.RESNET.NUM_BLOCK_TEMP_KERNEL[index]):
        raise ConfigError(
            f"RESNET.NUM_BLOCK_TEMP_KERNEL {cfg.RESNET.NUM_BLOCK_TEMP_KERNEL[index]} of stage {stage} exceeds its "
            f"{depth} blocks at RESNET.DEPTH {cfg.RESNET.DEPTH}"
        )
    built = resnet_helper.ResStage(
        dim_in=dim_in,
        dim_out=dim_out,
        stride=cfg.RESNET.SPATIAL_STRIDES[index],
        temp_kernel_sizes=kernels,
        num_blocks=[depth] * pathways,
        dim_inner=dim_inner,
        num_groups=[cfg.RESNET.NUM_GROUPS] * pathways,
        num_block_temp_kernel=cfg.RESNET.NUM_BLOCK_TEMP_KERNEL[index],
        nonlocal_inds=cfg.NONLOCAL.LOCATION[index],
        nonlocal_group=cfg.NONLOCAL.GROUP[index],
        nonlocal_pool=cfg.NONLOCAL.POOL[index],
        dilation=cfg.RESNET.SPATIAL_DILATIONS[index],
        instantiation=cfg.NONLOCAL.INSTANTIATION,
        stride_1x1=cfg.RESNET.STRIDE_1X1,
        inplace_relu=cfg.RESNET.INPLACE_RELU,
    )
    for name, child in list(built.named_children()):
        if "_nonlocal" in name:
            setattr(built, name, AdaptiveNonlocal.from_pyslowfast(child))
    return built


def run_pathway(stage: nn.Module, pathway: int, x: torch.Tensor) -> torch.Tensor:
    """One pathway of a ``ResStage``: its blocks in order, non-local blocks on NONLOCAL.GROUP groups of frames."""
    groups = stage.nonlocal_group[pathway]
    for i in range(stage.num_blocks[pathway]):
        x = getattr(stage, f"pathway{pathway}_res{i}")(x)
        attention = getattr(stage, f"pathway{pathway}_nonlocal{i}", None)
        if attention is None:
            continue
        x = attention(x) if groups == 1 else ungroup_frames(attention(group_frames(x, groups)), groups)
    return x


def initialise(module: nn.Module, cfg) -> None:
    """PySlowFast's weight initialisation, with RESNET.ZERO_INIT_FINAL_BN and RESNET.ZERO_INIT_FINAL_CONV."""
    _, _, weight_init_helper = pyslowfast_blocks()
    weight_init_helper.init_weights(module, cfg.MODEL.FC_INIT_STD, cfg.RESNET.ZERO_INIT_FINAL_BN)
    if cfg.RESNET.ZERO_INIT_FINAL_CONV:
        for name, layer in module.named_modules():
            if name.endswith("branch2.c"):
                nn.init.zeros_(layer.weight)


class BranchRule:
    """Which channels of the Slow pathway, or of the only branch, are slimmable: all but the input and the logits.

    Args:
        divisor: active channels come in multiples of it.
        num_groups: of the middle convolution of each block; its channels are slimmed in whole groups.
        fused: input channels that come from the Fast pathway, by layer name; they stay, behind the slimmable ones.
    """

    def __init__(self, divisor: int, num_groups: int = 1, fused: dict[str, int] | None = None):
        self.divisor, self.num_groups, self.fused = divisor, num_groups, fused or {}

    def __call__(self, name: str, layer: nn.Module) -> tuple[Channels, Channels] | Channels:
        if isinstance(layer, (nn.BatchNorm3d, nn.BatchNorm2d)):
            return self._channels(layer.num_features, name.endswith((".branch2.a_bn", ".branch2.b_bn")))
        if isinstance(layer, nn.Linear):
            return self._inputs(name, layer.in_features, False), Channels.fixed(layer.out_features)
        reads_clip = "_stem.conv" in name and layer.groups == 1
        inputs = (
            Channels.fixed(layer.in_channels)
            if reads_clip
            else self._inputs(name, layer.in_channels, name.endswith((".branch2.b", ".branch2.c", ".se.fc1")))
        )
        return inputs, self._channels(layer.out_channels, name.endswith((".branch2.a", ".branch2.b", ".se.fc2")))

    def _inputs(self, name: str, size: int, inner: bool) -> Channels:
        fused = self.fused.get(name, 0)
        channels = self._channels(size - fused, inner)
        return channels + Channels.fixed(fused) if fused else channels

    def _channels(self, size: int, inner: bool) -> Channels:
        if not inner or self.num_groups == 1:
            return Channels.slim(size, divisor=self.divisor)
        return Channels.slim(size, divisor=math.lcm(self.divisor, max(1, size // self.num_groups)))
