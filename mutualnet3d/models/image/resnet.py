"""ResNets of images (arXiv 1512.03385): torchvision's, slimmable in every layer."""

from __future__ import annotations

from torch import nn
from torchvision.models import ResNet as Backbone
from torchvision.models.resnet import BasicBlock, Bottleneck

from mutualnet3d.layers import Channels
from mutualnet3d.models.image.network import ImageNetwork
from mutualnet3d.models.image.rule import ImageRule
from mutualnet3d.models.resnet import check_common

BLOCKS = {
    "resnet18": (BasicBlock, [2, 2, 2, 2]),
    "resnet34": (BasicBlock, [3, 4, 6, 3]),
    "resnet50": (Bottleneck, [3, 4, 6, 3]),
    "resnet101": (Bottleneck, [3, 4, 23, 3]),
}
READ_STEM = ("layer1.0.conv1", "layer1.0.downsample.0")


class ResNet(ImageNetwork, Backbone):
    """A ResNet at any configuration of its space, with torchvision's parameter names.

    A bottleneck's inner channels are a quarter of its active outer ones, at every width, and so are the stem's: they
    come in multiples of a quarter of the divisor. So the paper's multiply-adds come out.

    Args:
        cfg: a config with MODEL.ARCH ``resnet50`` or another of ``BLOCKS``.
    """

    dense_class = Backbone

    def __init__(self, cfg):
        check_common(cfg)
        zero_init = cfg.RESNET.ZERO_INIT_FINAL_BN
        super().__init__(*BLOCKS[cfg.MODEL.ARCH], cfg.MODEL.NUM_CLASSES, zero_init_residual=zero_init)
        self.configure(cfg)
        special = self._quarters() if BLOCKS[cfg.MODEL.ARCH][0] is Bottleneck else ()
        self.slim(ImageRule(self.space.divisor, "conv1", "fc", *special), dropout=cfg.MODEL.DROPOUT_RATE)

    def _quarters(self) -> tuple[dict[str, Channels], dict[str, Channels]]:
        """What is read and written, by layer, where it is a quarter of a bottleneck's outer channels."""
        divisor, inputs, outputs = max(1, self.space.divisor // Bottleneck.expansion), {}, {}
        for name, layer in self.named_modules():
            if isinstance(layer, nn.Conv2d) and (name.endswith(("conv2", "conv3")) or name in READ_STEM):
                inputs[name] = Channels.slim(layer.in_channels, divisor=divisor)
            if name.endswith(("conv1", "conv2")):
                outputs[name] = Channels.slim(layer.out_channels, divisor=divisor)
            elif name.endswith(("bn1", "bn2")):
                outputs[name] = Channels.slim(layer.num_features, divisor=divisor)
        return inputs, outputs
