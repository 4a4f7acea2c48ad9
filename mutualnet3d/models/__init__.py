"""Slimmable networks of videos and images, built from configs."""

from mutualnet3d.models.build import ARCHITECTURES, build_model
from mutualnet3d.models.network import AdaptiveNetwork
from mutualnet3d.models.slow import Slow
from mutualnet3d.models.slowfast import SlowFast
from mutualnet3d.models.x3d import X3D

__all__ = ["ARCHITECTURES", "X3D", "AdaptiveNetwork", "Slow", "SlowFast", "build_model"]
