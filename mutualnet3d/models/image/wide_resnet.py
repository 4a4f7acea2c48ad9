"""Wide ResNets for small images (arXiv 1605.07146): pre-activation blocks of two 3x3 convolutions, all slimmable."""

from __future__ import annotations

import torch
from torch import nn

from mutualnet3d.layers import make_divisible
from mutualnet3d.models.image.network import ImageNetwork
from mutualnet3d.models.image.rule import ImageRule
from mutualnet3d.models.resnet import check_common

STEM = 16


class WideResNetBackbone(nn.Module):
    """The ordinary network WRN-depth-widen: ``forward(image)`` with image (N, C, H, W) -> logits (N, K).

    Args:
        depth: convolutions, 6 n + 4.
        widen: the three stages have 16, 32 and 64 channels times this.
        num_classes: K.
        dropout: probability between the convolutions of a block, where the paper has it.
        width_factor: on all channels, the stem's too, which stay multiples of 8.
        stem_stride: of the first convolution; 1 in the paper. With 2 every layer sees a quarter of the pixels.
    """

    def __init__(
        self,
        depth: int,
        widen: int,
        num_classes: int,
        dropout: float = 0.0,
        width_factor: float = 1.0,
        stem_stride: int = 1,
    ):
        super().__init__()
        size = make_divisible(STEM * width_factor, 8)
        self.conv1 = nn.Conv2d(3, size, 3, stem_stride, 1, bias=False)
        for stage in (1, 2, 3):
            wider, blocks = make_divisible(STEM * widen * 2 ** (stage - 1) * width_factor, 8), []
            for number in range((depth - 4) // 6):
                stride = 2 if stage > 1 and number == 0 else 1
                blocks.append(PreActivationBlock(size, wider, stride, dropout))
                size = wider
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
        self.bn = nn.BatchNorm2d(size)
        self.relu = nn.ReLU(inplace=True)
        self.fc = nn.Linear(size, num_classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.fc.bias)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.layer3(self.layer2(self.layer1(self.conv1(image))))
        return self.fc(self.relu(self.bn(x)).mean((2, 3)))


class PreActivationBlock(nn.Module):
    """x + conv(ReLU(BN(conv(ReLU(BN(x)))))); where the shape changes, a 1x1 convolution of ReLU(BN(x)) for x."""

    def __init__(self, size_in: int, size_out: int, stride: int, dropout: float):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(size_in)
        self.conv1 = nn.Conv2d(size_in, size_out, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(size_out)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(size_out, size_out, 3, 1, 1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        if size_in != size_out or stride != 1:
            self.shortcut = nn.Conv2d(size_in, size_out, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        active = self.relu(self.bn1(x))
        kept = self.shortcut(active) if hasattr(self, "shortcut") else x
        return kept + self.conv2(self.dropout(self.relu(self.bn2(self.conv1(active)))))


class WideResNet(ImageNetwork, WideResNetBackbone):
    """A wide ResNet at any configuration of its space.

    Args:
        cfg: a config with MODEL.ARCH ``wide_resnet``, IMAGE.DEPTH, WIDEN_FACTOR, WIDTH_FACTOR and STEM_STRIDE.
    """

    dense_class = WideResNetBackbone

    def __init__(self, cfg):
        check_common(cfg)
        image, model = cfg.IMAGE, cfg.MODEL
        shape = image.DEPTH, image.WIDEN_FACTOR, model.NUM_CLASSES, model.DROPOUT_RATE, image.WIDTH_FACTOR
        super().__init__(*shape, image.STEM_STRIDE)
        self.configure(cfg)
        self.slim(ImageRule(self.space.divisor, "conv1", "fc"))
