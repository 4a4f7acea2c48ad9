"""Networks whose maps are known: they average."""

import torch
from torch import nn

import mutualnet3d as mn
from mutualnet3d.layers import SlimmableBatchNorm2d, SlimmableBatchNorm3d, activation_of
from tests.deployment.networks import DEMO


def averaging_network(*more):
    """(model, cfg) of a Slow with stride 8 whose layers only average: bright pixels make bright features.

    ``more``: overrides of the config.
    """
    overrides = ["RESNET.SPATIAL_STRIDES", [[1], [2], [1], [1]], "RESNET.WIDTH_PER_GROUP", 8]
    overrides += ["DATA.TRAIN_CROP_SIZE", 112, "DATA.TEST_CROP_SIZE", 112, "DATA.TRAIN_JITTER_SCALES", [112, 120]]
    overrides += ["MUTUALNET.SPATIAL", [72, 90, 112]]
    cfg = mn.load_config(DEMO / "MN_SLOW_SMALL.yaml", [*overrides, *more])
    return _averaging(cfg), cfg


def averaging_image_network(*more):
    """(model, cfg) of such a wide ResNet with stride 4, of images of 64 x 64."""
    overrides = ["DATA.TRAIN_CROP_SIZE", 64, "DATA.TEST_CROP_SIZE", 64, "MUTUALNET.SPATIAL", [40, 52, 64]]
    cfg = mn.load_config(DEMO / "MN_CIFAR_SMALL.yaml", [*overrides, *more])
    return _averaging(cfg), cfg


def _averaging(cfg):
    model = mn.build_model(cfg).eval()
    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.Conv3d)):
            layer.weight.data.fill_(1 / layer.weight[0].numel())
        if isinstance(layer, (SlimmableBatchNorm2d, SlimmableBatchNorm3d)):
            layer.weight.data.fill_(1.0)
            for configuration in model.space.grid():
                activation = activation_of(configuration, model.space.full)
                count = layer.slim.count(activation.width)
                layer.store_statistics(activation, torch.zeros(count), torch.ones(count))
    classifier = model.fc if hasattr(model, "fc") else model.head.projection
    classifier.weight.data.fill_(1.0)
    return model
