"""Turning ordinary networks slimmable, and sub-networks ordinary again."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from torch import nn

from mutualnet3d.configuration import Configuration
from mutualnet3d.layers.activation import Activation, Slimmable, activation_of, dense_parameter
from mutualnet3d.layers.channels import Channels
from mutualnet3d.layers.conv import SlimmableConv2d, SlimmableConv3d
from mutualnet3d.layers.folding import fold_batchnorm
from mutualnet3d.layers.linear import SlimmableLinear
from mutualnet3d.layers.norm import SlimmableBatchNorm2d, SlimmableBatchNorm3d

Rule = Callable[[str, nn.Module], tuple[Channels, Channels] | Channels | None]

_SLIMMABLE: dict[type[nn.Module], Any] = {
    nn.Conv2d: SlimmableConv2d,
    nn.Conv3d: SlimmableConv3d,
    nn.Linear: SlimmableLinear,
    nn.BatchNorm2d: SlimmableBatchNorm2d,
    nn.BatchNorm3d: SlimmableBatchNorm3d,
}


def make_slimmable(module: nn.Module, rule: Rule) -> nn.Module:
    """Replace the layers of ``module``, in place, by slimmable ones that share their parameters.

    ``rule(name, layer)`` is asked about each convolution, linear layer and BatchNorm. It answers the (input, output)
    channels, for a BatchNorm its channels, or ``None`` to leave the layer as it is.
    """
    for name, layer in list(module.named_modules()):
        slimmable = _SLIMMABLE.get(type(layer))
        if slimmable is None or (channels := rule(name, layer)) is None:
            continue
        parent, _, child = name.rpartition(".")
        arguments = (channels,) if isinstance(channels, Channels) else channels
        setattr(module.get_submodule(parent), child, slimmable.from_dense(layer, *arguments))
    return module


def extract_dense(
    module: nn.Module,
    configuration: Configuration | None = None,
    full: Configuration | None = None,
    *,
    fold_bn: bool = False,
) -> nn.Module:
    """The sub-network of ``module`` at ``configuration`` as an ordinary network: smaller weights, no slimmable layer.

    It is in eval mode, whatever mode ``module`` is in. Weights are copies, statistics those of the configuration.
    ``full`` defaults to ``module.space.full``. With ``fold_bn`` the BatchNorms that follow a convolution are
    folded into it (:func:`fold_batchnorm`): faster, equal up to rounding.

    Raises:
        ConfigurationError: the configuration lies outside ``module.space``.
        NotCalibratedError: its BatchNorm statistics were never computed.
    """
    space: Any = getattr(module, "space", None)
    if configuration is not None and space is not None:
        space.check(configuration)
    dense = copy_dense(module, activation_of(configuration, full or space.full)).eval()
    return fold_batchnorm(dense) if fold_bn else dense


def copy_dense(module: nn.Module, activation: Activation, *, skeleton: bool = False) -> nn.Module:
    """Recursive part of :func:`extract_dense`. A module with a ``dense_class`` becomes one of that class."""
    if isinstance(module, Slimmable):
        return module.to_dense(activation, skeleton=skeleton)
    dense = nn.Module.__new__(getattr(module, "dense_class", type(module)))
    dense.__dict__.update({key: copy.copy(value) for key, value in module.__dict__.items()})
    for name, parameter in module._parameters.items():
        dense._parameters[name] = dense_parameter(parameter, skeleton)
    for name, buffer in module._buffers.items():
        dense._buffers[name] = None if buffer is None else buffer.to("meta" if skeleton else buffer.device, copy=True)
    for name, child in module._modules.items():
        dense._modules[name] = None if child is None else copy_dense(child, activation, skeleton=skeleton)
    return dense
