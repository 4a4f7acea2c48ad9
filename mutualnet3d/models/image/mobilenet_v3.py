"""MobileNetV3 (arXiv 1905.02244): torchvision's, slimmable in every layer, squeeze-and-excitation included."""

from __future__ import annotations

from torchvision.models import MobileNetV3 as Backbone
from torchvision.models.mobilenetv3 import _mobilenet_v3_conf

from mutualnet3d.models.image.network import ImageNetwork
from mutualnet3d.models.image.rule import ImageRule
from mutualnet3d.models.resnet import check_common


class MobileNetV3(ImageNetwork, Backbone):
    """MobileNetV3 at any configuration of its space, with torchvision's parameter names.

    Args:
        cfg: a config with MODEL.ARCH ``mobilenet_v3_large`` or ``mobilenet_v3_small``.
    """

    dense_class = Backbone

    def __init__(self, cfg):
        check_common(cfg)
        blocks, last = _mobilenet_v3_conf(cfg.MODEL.ARCH, width_mult=cfg.IMAGE.WIDTH_FACTOR)
        super().__init__(blocks, last, cfg.MODEL.NUM_CLASSES, dropout=cfg.MODEL.DROPOUT_RATE)
        self.configure(cfg)
        self.slim(ImageRule(self.space.divisor, "features.0.0", "classifier.3"))
