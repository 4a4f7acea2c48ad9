"""Slimmable networks of images."""

from mutualnet3d.models.image.mobilenet_v2 import MobileNetV2
from mutualnet3d.models.image.network import ImageNetwork

__all__ = ["ImageNetwork", "MobileNetV2"]
