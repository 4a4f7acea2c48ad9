"""Networks of the recipes with random weights and statistics: time does not depend on what they have learnt."""

import torch

import mutualnet3d as mn
from mutualnet3d.configuration import Configuration
from mutualnet3d.layers import SlimmableBatchNorm3d, activation_of


def random_network(recipe: str, overrides: list, widths: list[float]):
    """(config, network in eval mode, its configurations at ``widths`` and full resolution)."""
    cfg = mn.load_config(recipe, overrides)
    model = mn.build_model(cfg).eval().requires_grad_(False)
    full = model.space.full
    configurations = [model.space.check(Configuration(width, full.spatial, full.temporal)) for width in widths]
    generator = torch.Generator().manual_seed(0)
    for norm in (m for m in model.modules() if isinstance(m, SlimmableBatchNorm3d)):
        norm.weight.fill_(1.0)  # the last of a block starts at 0
        for configuration in (full, *configurations):
            activation = activation_of(configuration, full)
            mean = 0.1 * torch.randn(norm.slim.count(activation.width), generator=generator)
            norm.store_statistics(activation, mean, torch.rand(mean.shape, generator=generator) + 0.5)
    return cfg, model, configurations
