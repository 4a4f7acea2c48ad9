"""Small image networks: the overrides of each architecture, and random weights."""

import torch

import mutualnet3d as mn

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
    return shake(mn.build_model(image_config(arch, *overrides)))


@torch.no_grad()
def shake(model, seed=0):
    """Random values everywhere that keep the features of a deep network alive."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in model.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5, generator=generator)
        elif tensor.ndim > 1:
            tensor.normal_(0.0, (2.0 / tensor[0].numel()) ** 0.5, generator=generator)
        elif name.endswith("weight"):
            tensor.uniform_(0.4, 1.0, generator=generator)
        elif tensor.is_floating_point():
            tensor.normal_(0.1, 0.2, generator=generator)
    return model


def images(count=2, size=CROP, seed=1, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, size, size, generator=generator, dtype=torch.float64).to(dtype)
