"""The activation of a configuration: which sub-network the slimmable layers of a network currently are."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mutualnet3d.configuration import Configuration


@dataclass(frozen=True)
class Activation:
    """What every slimmable layer is told.

    Args:
        configuration: the key of the BatchNorm statistics; ``None`` is the full configuration.
        width: relative to the layers as they were built, so the full configuration's is always 1.
    """

    configuration: Configuration | None = None
    width: float = 1.0


FULL = Activation()


class Slimmable(ABC):
    """Mixin of the slimmable layers: they hold the current activation and can become an ordinary layer."""

    activation: Activation = FULL

    @abstractmethod
    def to_dense(self, activation: Activation, *, skeleton: bool = False) -> nn.Module:
        """The ordinary torch layer that this layer is under ``activation``, with copies of the active weights.

        A ``skeleton`` has shapes only: its tensors are on the meta device, and no statistics are needed.
        """


def dense_parameter(tensor: torch.Tensor | None, skeleton: bool) -> nn.Parameter | None:
    """A parameter of a dense layer: a contiguous copy of ``tensor``, or just its shape."""
    if tensor is None:
        return None
    if skeleton:
        return nn.Parameter(torch.empty(tensor.shape, dtype=tensor.dtype, device="meta"))
    return nn.Parameter(tensor.detach().clone(memory_format=torch.contiguous_format))


def activation_of(configuration: Configuration | None, full: Configuration) -> Activation:
    """The activation of ``configuration`` in a network built at the ``full`` configuration's width."""
    if configuration is None or configuration == full:
        return FULL
    return Activation(configuration, configuration.width / full.width)


@contextlib.contextmanager
def activate(module: nn.Module, configuration: Configuration | None, full: Configuration | None = None) -> Iterator:
    """Run the body with every slimmable layer of ``module`` at ``configuration``, then restore what was active before.

    ``full`` defaults to ``module.space.full``. Backward passes of what was computed inside may run after the body.
    One network serves one thread at a time; extract dense sub-networks to run several at once.
    """
    space: Any = getattr(module, "space", None)
    activation = activation_of(configuration, full or space.full)
    layers = [layer for layer in module.modules() if isinstance(layer, Slimmable)]
    previous = [layer.activation for layer in layers]
    for layer in layers:
        layer.activation = activation
    try:
        yield
    finally:
        for layer, before in zip(layers, previous, strict=True):
            layer.activation = before


@contextlib.contextmanager
def eval_mode(module: nn.Module) -> Iterator[None]:
    """Run the body with ``module`` in eval mode, then give every submodule its own mode back."""
    modes = {child: child.training for child in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for child, mode in modes.items():
            child.training = mode
