"""ResNets of images (arXiv 1512.03385): torchvision's, slimmable in every layer."""

from __future__ import annotations

from torchvision.models import ResNet as Backbone
from torchvision.models.resnet import BasicBlock, Bottleneck

from mutualnet3d.models.image.network import ImageNetwork
from mutualnet3d.models.image.rule import ImageRule
from mutualnet3d.models.resnet import check_common

BLOCKS = {
    "resnet18": (BasicBlock, [2, 2, 2, 2]),
    "resnet34": (BasicBlock, [3, 4, 6, 3]),
    "resnet50": (Bottleneck, [3, 4, 6, 3]),
    "resnet101": (Bottleneck, [3, 4, 23, 3]),
}


class ResNet(ImageNetwork, Backbone):
    """A ResNet at any configuration of its space, with torchvision's parameter names.

    Args:
        cfg: a config with MODEL.ARCH ``resnet50`` or another of ``BLOCKS``.
    """

    dense_class = Backbone

    def __init__(self, cfg):
        check_common(cfg)
        zero_init = cfg.RESNET.ZERO_INIT_FINAL_BN
        super().__init__(*BLOCKS[cfg.MODEL.ARCH], cfg.MODEL.NUM_CLASSES, zero_init_residual=zero_init)
        self.configure(cfg)
        self.slim(ImageRule(self.space.divisor, "conv1", "fc"), dropout=cfg.MODEL.DROPOUT_RATE)
