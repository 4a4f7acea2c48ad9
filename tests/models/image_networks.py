"""Small image networks: the overrides of each architecture, and random weights."""

import torch

import mutualnet3d as mn
from tests.models.random_state import shake

CROP, CLASSES = 48, 5
COMMON = [
    *("MODEL.NUM_CLASSES", CLASSES, "MODEL.DROPOUT_RATE", 0.0, "MUTUALNET.WIDTH", [0.25, 1.0]),
    *("DATA.TRAIN_CROP_SIZE", CROP, "DATA.TEST_CROP_SIZE", CROP, "MUTUALNET.SPATIAL", [32, 40, CROP]),
]
NARROW = ["IMAGE.WIDTH_FACTOR", 0.5]
IMAGE_CASES = {
    "mobilenet_v1": NARROW,
    "mobilenet_v2": NARROW,
    "mobilenet_v3_large": NARROW,
    "mobilenet_v3_small": NARROW,
    "resnet18": [],
    "resnet34": [],
    "resnet50": [],
    "resnet101": [],
    "vgg16": ["IMAGE.WIDTH_FACTOR", 0.125],
    "vgg16_bn": ["IMAGE.WIDTH_FACTOR", 0.125],
    "wide_resnet": ["IMAGE.DEPTH", 16, "IMAGE.WIDEN_FACTOR", 2],
}


def image_config(arch, *overrides):
    return mn.load_config([], ["MODEL.ARCH", arch, *COMMON, *IMAGE_CASES[arch], *overrides])


def build_image_network(arch, *overrides):
    return shake(mn.build_model(image_config(arch, *overrides)), shift=0.1)


def images(count=2, size=CROP, seed=1, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, size, size, generator=generator, dtype=torch.float64).to(dtype)
