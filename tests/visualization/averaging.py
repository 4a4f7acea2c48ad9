"""A network whose maps are known: it averages."""

import torch
from torch import nn

import mutualnet3d as mn
from mutualnet3d.layers import SlimmableBatchNorm3d, activation_of
from tests.deployment.networks import DEMO


def averaging_network(*more):
    """(model, cfg) of a Slow with stride 8 whose layers only average: bright pixels make bright features.

    ``more``: overrides of the config.
    """
    overrides = ["RESNET.SPATIAL_STRIDES", [[1], [2], [1], [1]], "RESNET.WIDTH_PER_GROUP", 8]
    overrides += ["DATA.TRAIN_CROP_SIZE", 112, "DATA.TEST_CROP_SIZE", 112, "DATA.TRAIN_JITTER_SCALES", [112, 120]]
    overrides += ["MUTUALNET.SPATIAL", [72, 90, 112]]
    cfg = mn.load_config(DEMO / "MN_SLOW_SMALL.yaml", [*overrides, *more])
    model = mn.build_model(cfg).eval()
    for layer in model.modules():
        if isinstance(layer, nn.Conv3d):
            layer.weight.data.fill_(1 / layer.weight[0].numel())
        if isinstance(layer, SlimmableBatchNorm3d):
            layer.weight.data.fill_(1.0)
            for configuration in model.space.grid():
                activation = activation_of(configuration, model.space.full)
                count = layer.slim.count(activation.width)
                layer.store_statistics(activation, torch.zeros(count), torch.ones(count))
    model.head.projection.weight.data.fill_(1.0)
    return model, cfg
