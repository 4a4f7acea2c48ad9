"""MobileNetV1 (arXiv 1704.04861), slimmable in every layer; torchvision has none."""

from __future__ import annotations

import torch
from torch import nn

from mutualnet3d.layers import make_divisible
from mutualnet3d.models.image.network import ImageNetwork
from mutualnet3d.models.image.rule import ImageRule
from mutualnet3d.models.resnet import check_common

STEM = 32
BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))


class MobileNetV1Backbone(nn.Module):
    """The ordinary network: ``forward(image)`` with image (N, C, H, W) -> logits (N, K).

    Built and initialised as torchvision's MobileNetV2 is, ``features`` and ``classifier``.

    Args:
        num_classes: K.
        width_factor: on all channels, which stay multiples of 8.
        dropout: probability before the classifier.
    """

    def __init__(self, num_classes: int, width_factor: float = 1.0, dropout: float = 0.0):
        super().__init__()
        size = make_divisible(STEM * width_factor, 8)
        blocks = [nn.Sequential(*_layer(3, size, 3, 2))]
        for channels, stride in BLOCKS:
            wider = make_divisible(channels * width_factor, 8)
            blocks.append(nn.Sequential(*_layer(size, size, 3, stride, size), *_layer(size, wider, 1)))
            size = wider
        self.features = nn.Sequential(*blocks)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(size, num_classes))
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out")
        nn.init.normal_(self.classifier[1].weight, 0, 0.01)
        nn.init.zeros_(self.classifier[1].bias)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(image).mean((2, 3)))


def _layer(size_in: int, size_out: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(size_in, size_out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(size_out), nn.ReLU6(inplace=True)]


class MobileNetV1(ImageNetwork, MobileNetV1Backbone):
    """MobileNetV1 at any configuration of its space.

    Args:
        cfg: a config with MODEL.ARCH ``mobilenet_v1``.
    """

    dense_class = MobileNetV1Backbone

    def __init__(self, cfg):
        check_common(cfg)
        super().__init__(cfg.MODEL.NUM_CLASSES, cfg.IMAGE.WIDTH_FACTOR, cfg.MODEL.DROPOUT_RATE)
        self.configure(cfg)
        self.slim(ImageRule(self.space.divisor, "features.0.0", "classifier.1"))
