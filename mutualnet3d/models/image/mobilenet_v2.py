"""MobileNetV2 (arXiv 1801.04381): torchvision's, slimmable."""

from __future__ import annotations

from torch import nn
from torchvision.models import MobileNetV2 as Backbone
from torchvision.models.mobilenetv2 import InvertedResidual

from mutualnet3d.layers import Channels
from mutualnet3d.models.image.network import ImageNetwork
from mutualnet3d.models.image.rule import ImageRule
from mutualnet3d.models.resnet import check_common


class MobileNetV2(ImageNetwork, Backbone):
    """MobileNetV2 at any configuration of its space, with torchvision's parameter names.

    The expanded channels are the expansion times the active input channels, and the last 1280 stay full: only so do
    the multiply-adds of the paper's query table come out.

    Args:
        cfg: a config with MODEL.ARCH ``mobilenet_v2``.
    """

    dense_class = Backbone

    def __init__(self, cfg):
        check_common(cfg)
        super().__init__(cfg.MODEL.NUM_CLASSES, cfg.IMAGE.WIDTH_FACTOR, dropout=cfg.MODEL.DROPOUT_RATE)
        self.configure(cfg)
        inputs, outputs = {}, {}
        for name, block in self.named_modules():
            if isinstance(block, InvertedResidual):
                expanded = self._expanded(block)
                *layers, project, _ = [n for n, m in block.named_modules(prefix=name) if isinstance(m, _LAYERS)]
                outputs |= dict.fromkeys(layers, expanded)
                inputs |= dict.fromkeys((*layers[2:], project), expanded)  # the first two are expansion and BatchNorm
        last = f"features.{len(self.features) - 1}"
        end = Channels.fixed(self.last_channel)
        if cfg.IMAGE.WIDTH_FACTOR > 1:  # torchvision widens it then, and at width 1.0 it is the published one
            end = Channels.slim(self.last_channel, divisor=self.space.divisor)
        outputs |= dict.fromkeys((f"{last}.0", f"{last}.1"), end)
        inputs["classifier.1"] = end
        self.slim(ImageRule(self.space.divisor, "features.0.0", "classifier.1", inputs, outputs))

    def _expanded(self, block: InvertedResidual) -> Channels:
        convolutions = [layer for layer in block.modules() if isinstance(layer, nn.Conv2d)]
        narrow, expanded = convolutions[0].in_channels, convolutions[-1].in_channels
        return Channels.slim(expanded, divisor=self.space.divisor, multiple=expanded // narrow)


_LAYERS = (nn.Conv2d, nn.BatchNorm2d)
