"""PySlowFast's optimizers and parameter groups, grouped by what a layer is rather than by what it is called."""

from __future__ import annotations

import torch
from torch import nn

from mutualnet3d.errors import ConfigError


def build_optimizer(model: nn.Module, cfg) -> torch.optim.Optimizer:
    """SGD, Adam or AdamW (SOLVER.OPTIMIZING_METHOD) over the trainable parameters.

    Normalisation layers decay by BN.WEIGHT_DECAY, biases and vectors not at all with SOLVER.ZERO_WD_1D_PARAM, depthwise
    convolutions not at all with SOLVER.ZERO_WD_DEPTHWISE, everything else by SOLVER.WEIGHT_DECAY.
    """
    solver = cfg.SOLVER
    if solver.LAYER_DECAY != 1.0 or solver.LARS_ON:
        raise ConfigError("SOLVER.LAYER_DECAY other than 1.0 and SOLVER.LARS_ON are not supported; unset them")
    groups = {cfg.BN.WEIGHT_DECAY: [], 0.0: [], solver.WEIGHT_DECAY: []}
    for module in model.modules():
        is_norm = isinstance(module, nn.modules.batchnorm._NormBase)
        is_depthwise = isinstance(module, nn.modules.conv._ConvNd) and 1 < module.groups == module.in_channels
        for parameter in module.parameters(recurse=False):
            if not parameter.requires_grad:
                continue
            if is_norm:
                decay = cfg.BN.WEIGHT_DECAY
            elif parameter.ndim == 1:
                decay = 0.0 if solver.ZERO_WD_1D_PARAM else solver.WEIGHT_DECAY
            else:
                decay = 0.0 if solver.ZERO_WD_DEPTHWISE and is_depthwise else solver.WEIGHT_DECAY
            groups[decay].append(parameter)
    parameters = [{"params": group, "weight_decay": decay} for decay, group in groups.items() if group]
    if not parameters:
        raise ConfigError("no parameter requires a gradient; unfreeze the network before training it")
    if solver.OPTIMIZING_METHOD == "sgd":
        return torch.optim.SGD(
            parameters,
            lr=solver.BASE_LR,
            momentum=solver.MOMENTUM,
            dampening=solver.DAMPENING,
            nesterov=solver.NESTEROV,
        )
    if solver.OPTIMIZING_METHOD in ("adam", "adamw"):
        kind = torch.optim.Adam if solver.OPTIMIZING_METHOD == "adam" else torch.optim.AdamW
        return kind(parameters, lr=solver.BASE_LR, betas=tuple(solver.BETAS))
    raise ConfigError(f"SOLVER.OPTIMIZING_METHOD {solver.OPTIMIZING_METHOD!r} is not one of sgd, adam, adamw")


def set_learning_rate(optimizer: torch.optim.Optimizer, value: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = value


def clip_gradients(model: nn.Module, cfg) -> torch.Tensor:
    """Clip by SOLVER.CLIP_GRAD_VAL, else by SOLVER.CLIP_GRAD_L2NORM; returns the norm before clipping by norm."""
    parameters = [p for p in model.parameters() if p.grad is not None]
    if cfg.SOLVER.CLIP_GRAD_VAL:
        nn.utils.clip_grad_value_(parameters, cfg.SOLVER.CLIP_GRAD_VAL)
    limit = cfg.SOLVER.CLIP_GRAD_L2NORM
    if cfg.SOLVER.CLIP_GRAD_VAL or not limit:
        return nn.utils.get_total_norm([p.grad for p in parameters])
    return nn.utils.clip_grad_norm_(parameters, limit)
