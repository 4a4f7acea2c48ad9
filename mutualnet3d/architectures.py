"""Names of networks, which the config, the data and the models must agree on. What they are stands in ``models``."""

IMAGE_ARCHITECTURES = (
    "mobilenet_v1",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "vgg16",
    "vgg16_bn",
    "wide_resnet",
)


def is_image_network(cfg) -> bool:
    """Whether the network of ``cfg`` reads images (N, 3, H, W): its configurations have no temporal part."""
    return cfg.MODEL.ARCH in IMAGE_ARCHITECTURES


def items_name(cfg) -> str:
    """What the lists of ``cfg`` are of, for messages: ``key frames``, ``images`` or ``videos``."""
    return "key frames" if cfg.DETECTION.ENABLE else "images" if is_image_network(cfg) else "videos"
