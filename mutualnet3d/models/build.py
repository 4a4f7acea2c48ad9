"""From a config to a network."""

from __future__ import annotations

import torch
from fvcore.common.config import CfgNode

from mutualnet3d.errors import ConfigError
from mutualnet3d.models.image import VGG, MobileNetV1, MobileNetV2, MobileNetV3, ResNet, WideResNet
from mutualnet3d.models.network import AdaptiveNetwork
from mutualnet3d.models.slow import Slow
from mutualnet3d.models.slowfast import SlowFast
from mutualnet3d.models.x3d import X3D

ARCHITECTURES: dict[str, type[AdaptiveNetwork]] = {
    "slow": Slow,
    "slowonly": Slow,
    "slowfast": SlowFast,
    "x3d": X3D,
    "mobilenet_v1": MobileNetV1,
    "mobilenet_v2": MobileNetV2,
    "mobilenet_v3_large": MobileNetV3,
    "mobilenet_v3_small": MobileNetV3,
    "resnet18": ResNet,
    "resnet34": ResNet,
    "resnet50": ResNet,
    "resnet101": ResNet,
    "vgg16": VGG,
    "vgg16_bn": VGG,
    "wide_resnet": WideResNet,
}


def build_model(cfg: CfgNode) -> AdaptiveNetwork:
    """The network of MODEL.ARCH on the CPU, in training mode, initialised from RNG_SEED; the global RNG is left alone.

    Raises:
        ConfigError: the architecture is unknown, or a key asks for what the network cannot honour.
        ConfigurationError: the MUTUALNET ranges are empty or unordered.
    """
    if cfg.MODEL.ARCH not in ARCHITECTURES:
        raise ConfigError(f"MODEL.ARCH {cfg.MODEL.ARCH!r} is not one of {', '.join(ARCHITECTURES)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(cfg.RNG_SEED)
        return ARCHITECTURES[cfg.MODEL.ARCH](cfg)
