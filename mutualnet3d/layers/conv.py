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
from mutualnet3d.layers.gradients import narrow_parameter

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
    prefers_onednn = False  # whether speed matters more than the very bits of torch's layer

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
        dims = (self.out_slim, self.in_slim) if self.groups == 1 else (self.out_slim,)
        weight = narrow_parameter(self.weight, dims, width)
        bias = None if self.bias is None else narrow_parameter(self.bias, (self.out_slim,), width)
        groups = 1 if self.groups == 1 else self.in_slim.count(width) * self.groups // self.in_channels
        return weight, bias, groups

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight, bias, groups = self.active_parameters(self.activation.width)
        x, stride = self._without_stride(x)
        return self._function(x, weight, bias, stride, self.padding, self._dilation_for(x), groups)

    def _without_stride(self, x: torch.Tensor) -> tuple[torch.Tensor, tuple[int, ...]]:
        """(x, stride), or for few channels of images, trained on a CPU, fewer pixels and 1: the same convolution.

        torch 2.14's oneDNN (3.12) writes past its memory in the backward pass of a strided 1 x 1 convolution of 8
        channels in channels_last; from 16 on it does not.
        """
        pointwise = len(self.stride) == 2 and tuple(self.kernel_size) == (1, 1) and tuple(self.padding) == (0, 0)
        if self.stride[-1] == 1 or not (pointwise and torch.is_grad_enabled() and x.is_cpu and x.shape[1] <= 8):
            return x, self.stride
        return x[..., :: self.stride[0], :: self.stride[1]], (1, 1)

    def _dilation_for(self, x: torch.Tensor) -> tuple[int, ...]:
        """``self.dilation``, or with ``prefers_onednn`` an equal one that torch runs in oneDNN with one thread too.

        With one thread torch hands float32 kernels of 1 x 1 pixels, which oneDNN runs 1.2 to 4 times as fast, to a
        matrix product, unless they are strided or dilated. Along a dimension where the kernel is 1, every dilation is
        the same convolution, up to rounding; gradients are computed where the outputs are. A dilation is given only
        where it leads to oneDNN: the last condition is torch's own (``use_mkldnn`` in ATen's Convolution.cpp), which
        hands other dilated convolutions to its slow ones.
        """
        is_affected = (
            self.prefers_onednn
            and x.is_cpu
            and x.dtype == torch.float32
            and tuple(self.kernel_size[-2:]) == (1, 1)
            and torch.get_num_threads() == 1
            and not torch.is_autocast_enabled("cpu")
            and torch.backends.mkldnn.is_available()
            and (self.groups > 1 or len(x) > 1 or x.shape[:4].numel() > 20480)
        )
        return (*self.dilation[:-1], 2) if is_affected else self.dilation

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
