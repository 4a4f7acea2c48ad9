"""Slimmable networks of images."""

from mutualnet3d.models.image.mobilenet_v1 import MobileNetV1
from mutualnet3d.models.image.mobilenet_v2 import MobileNetV2
from mutualnet3d.models.image.mobilenet_v3 import MobileNetV3
from mutualnet3d.models.image.network import ImageNetwork
from mutualnet3d.models.image.resnet import ResNet
from mutualnet3d.models.image.vgg import VGG
from mutualnet3d.models.image.wide_resnet import WideResNet

__all__ = ["VGG", "ImageNetwork", "MobileNetV1", "MobileNetV2", "MobileNetV3", "ResNet", "WideResNet"]
