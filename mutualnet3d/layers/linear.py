"""Slimmable linear layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from mutualnet3d.layers.activation import Activation, Slimmable, dense_parameter
from mutualnet3d.layers.channels import Channels
from mutualnet3d.layers.gradients import narrow_parameter


class SlimmableLinear(Slimmable, nn.Linear):
    """``torch.nn.Linear`` over :class:`Channels`: (..., active in) -> (..., active out), e.g. a classifier that reads
    ``slim(2048) + fixed(256)`` features and writes ``fixed(400)`` logits."""

    def __init__(self, in_channels: Channels, out_channels: Channels, bias: bool = True, **kwargs: Any):
        super().__init__(in_channels.size, out_channels.size, bias, **kwargs)
        self._set_channels(in_channels, out_channels)

    @classmethod
    def from_dense(cls, linear: nn.Linear, in_channels: Channels, out_channels: Channels) -> SlimmableLinear:
        """A slimmable layer that shares the parameters of ``linear``; ValueError if the channels do not add up."""
        layer = cls.__new__(cls)
        layer.__dict__.update(linear.__dict__)
        layer._set_channels(in_channels, out_channels)
        return layer

    def _set_channels(self, in_channels: Channels, out_channels: Channels) -> None:
        if (in_channels.size, out_channels.size) != (self.in_features, self.out_features):
            raise ValueError(
                f"channels {in_channels.size} -> {out_channels.size} do not match the layer's "
                f"{self.in_features} -> {self.out_features}"
            )
        self.in_slim, self.out_slim = in_channels, out_channels

    def active_parameters(self, width: float) -> tuple[torch.Tensor, torch.Tensor | None]:
        """(weight, bias) at the relative ``width``: views of the shared parameters where possible."""
        weight = narrow_parameter(self.weight, (self.out_slim, self.in_slim), width)
        return weight, None if self.bias is None else narrow_parameter(self.bias, (self.out_slim,), width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, *self.active_parameters(self.activation.width))

    def to_dense(self, activation: Activation, *, skeleton: bool = False) -> nn.Linear:
        """See :meth:`Slimmable.to_dense`: (active in) -> (active out)."""
        weight, bias = self.active_parameters(activation.width)
        dense: Any = nn.Linear(weight.shape[1], weight.shape[0], bias is not None, device="meta")
        dense.weight = dense_parameter(weight, skeleton)
        dense.bias = dense_parameter(bias, skeleton)
        return dense.train(self.training)
