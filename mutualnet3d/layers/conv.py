"""Slimmable convolutions: written once for N dimensions, named for 2 and 3.

They are torch's layers with torch's parameters; at width 1 they compute exactly what torch's do. At a narrower width
they read a prefix view of the weight (after a fusion: of each segment), so gradients land in the shared weight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F

from mutualnet3d.layers.activation import Activation, Slimmable, dense_parameter
from mutualnet3d.layers.channels import Channels

if TYPE_CHECKING:
    from typing_extensions import Self

    _Dense = nn.modules.conv._ConvNd  # what the mixin is mixed into
else:
    _Dense = object


class _SlimmableConv(Slimmable, _Dense):
    _function: Any
    _dense_class: Any
    in_slim: Channels
    out_slim: Channels

    def __init__(self, in_channels: Channels, out_channels: Channels, *args: Any, **kwargs: Any):
        super().__init__(in_channels.size, out_channels.size, *args, **kwargs)
        self._set_channels(in_channels, out_channels)

    @classmethod
    def from_dense(cls, conv: nn.Module, in_channels: Channels, out_channels: Channels) -> Self:
        """A slimmable layer that shares the parameters of ``conv``.

        Raises:
            ValueError: the channels do not add up to those of ``conv``, the padding is not zeros, or the groups would
                be cut in the middle.
        """
        layer = cls.__new__(cls)
        layer.__dict__.update(conv.__dict__)
        layer._set_channels(in_channels, out_channels)
        return layer

    def _set_channels(self, in_channels: Channels, out_channels: Channels) -> None:
        if (in_channels.size, out_channels.size) != (self.in_channels, self.out_channels):
            raise ValueError(
                f"channels {in_channels.size} -> {out_channels.size} do not match the convolution's "
                f"{self.in_channels} -> {self.out_channels}"
            )
        if self.padding_mode != "zeros":
            raise ValueError(f"padding_mode {self.padding_mode!r} is not supported; use 'zeros'")
        if self.groups > 1:
            _check_groups(self, in_channels, out_channels)
        self.in_slim, self.out_slim = in_channels, out_channels

    def active_parameters(self, width: float) -> tuple[torch.Tensor, torch.Tensor | None, int]:
        """(weight, bias, groups) at the relative ``width``: views of the shared parameters where possible."""
        weight = self.out_slim.narrow(self.weight, 0, width)
        bias = None if self.bias is None else self.out_slim.narrow(self.bias, 0, width)
        if self.groups == 1:
            return self.in_slim.narrow(weight, 1, width), bias, 1
        return weight, bias, self.in_slim.count(width) * self.groups // self.in_channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.activation.width == 1:
            return super().forward(x)
        weight, bias, groups = self.active_parameters(self.activation.width)
        return self._function(x, weight, bias, self.stride, self.padding, self.dilation, groups)

    def to_dense(self, activation: Activation, *, skeleton: bool = False) -> nn.Module:
        weight, bias, groups = self.active_parameters(activation.width)
        dense = self._dense_class(
            weight.shape[1] * groups,
            weight.shape[0],
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            groups,
            bias=bias is not None,
            device="meta",
        )
        dense.weight = dense_parameter(weight, skeleton)
        dense.bias = dense_parameter(bias, skeleton)
        return dense.train(self.training)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, slimmable={_describe(self.in_slim)}->{_describe(self.out_slim)}"


class SlimmableConv2d(_SlimmableConv, nn.Conv2d):
    """``torch.nn.Conv2d`` over :class:`Channels`: (N, active in, H, W) -> (N, active out, H', W')."""

    _function = staticmethod(F.conv2d)
    _dense_class = nn.Conv2d


class SlimmableConv3d(_SlimmableConv, nn.Conv3d):
    """``torch.nn.Conv3d`` over :class:`Channels`: (N, active in, T, H, W) -> (N, active out, T', H', W')."""

    _function = staticmethod(F.conv3d)
    _dense_class = nn.Conv3d


def _check_groups(conv: nn.modules.conv._ConvNd, in_channels: Channels, out_channels: Channels) -> None:
    """Groups are slimmed whole: each side is one segment whose active counts are whole groups, equal on both sides."""
    sides = []
    for channels, size in ((in_channels, conv.in_channels), (out_channels, conv.out_channels)):
        if len(channels.segments) != 1:
            raise ValueError(
                f"a convolution with {conv.groups} groups cannot read or write {len(channels.segments)} segments"
            )
        segment, per_group = channels.segments[0], size // conv.groups
        step = segment.divisor * segment.multiple
        if segment.slimmable and step % per_group:
            raise ValueError(
                f"{conv.groups} groups of {per_group} channels would be cut: active channels come in steps of {step}; "
                f"use a divisor that is a multiple of {per_group}"
            )
        sides.append((segment.slimmable, step // per_group if segment.slimmable else None))
    if sides[0] != sides[1]:
        raise ValueError(
            f"groups of {conv.groups} would slim differently on the two sides: {in_channels} and {out_channels}"
        )


def _describe(channels: Channels) -> str:
    return "+".join(f"{'slim' if s.slimmable else 'fixed'}({s.size})" for s in channels.segments)
