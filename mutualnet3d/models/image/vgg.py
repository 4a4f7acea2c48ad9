"""VGG-16 (arXiv 1409.1556), with and without BatchNorm: torchvision's, slimmable in every layer."""

from __future__ import annotations

import torch
from torch import nn
from torchvision.models import vgg

from mutualnet3d.layers import Channels, make_divisible
from mutualnet3d.models.image.network import ImageNetwork
from mutualnet3d.models.image.rule import ImageRule
from mutualnet3d.models.resnet import check_common

HIDDEN = 4096  # of the classifier
CELLS = 7 * 7  # that torchvision pools the last feature map to, whatever the size of the image


class VGG(ImageNetwork, vgg.VGG):
    """VGG-16 at any configuration of its space, with torchvision's parameter names.

    ``vgg16`` has no BatchNorm, and so no statistics to calibrate.

    Args:
        cfg: a config with MODEL.ARCH ``vgg16`` or ``vgg16_bn``. IMAGE.WIDTH_FACTOR acts on the hidden layers of the
            classifier too.
    """

    dense_class = vgg.VGG

    def __init__(self, cfg):
        check_common(cfg)
        with torch.device("meta"):  # torchvision's classifier has one size, and 120 million weights
            super().__init__(nn.Identity(), cfg.MODEL.NUM_CLASSES, init_weights=False, dropout=cfg.MODEL.DROPOUT_RATE)
        *channels, hidden = [_scaled(c, cfg.IMAGE.WIDTH_FACTOR) for c in (*vgg.cfgs["D"], HIDDEN)]
        last = channels[-2]  # behind it stands a pooling
        self.features = vgg.make_layers(channels, batch_norm=cfg.MODEL.ARCH == "vgg16_bn")
        sizes = {0: (last * CELLS, hidden), 3: (hidden, hidden), 6: (hidden, cfg.MODEL.NUM_CLASSES)}
        for number, size in sizes.items():
            self.classifier[number] = nn.utils.skip_init(nn.Linear, *size)
        self._initialise()
        self.configure(cfg)
        flattened = Channels.slim(last * CELLS, divisor=self.space.divisor, multiple=CELLS)
        self.slim(ImageRule(self.space.divisor, "features.0", "classifier.6", {"classifier.0": flattened}))

    def _initialise(self) -> None:
        """As torchvision does."""
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, 0, 0.01)
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.zeros_(layer.bias)


def _scaled(channels: int | str, factor: float) -> int | str:
    return channels if isinstance(channels, str) else make_divisible(channels * factor, 8)
