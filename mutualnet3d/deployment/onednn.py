"""A 3-D convolution that stays on oneDNN however small it is.

In float32, ``torch.nn.functional.conv3d`` hands small batches of small images to a matrix product over unfolded
patches: a narrow network can then be slower than a wide one, by 1.5 to 4.5 times for a convolution.
"""

from __future__ import annotations

import torch
import torch.fx
from torch import nn


class OneDNNConv3d(nn.Conv3d):
    """``torch.nn.Conv3d`` in float32 on a CPU, for inference; gradients are not what it is for."""

    @classmethod
    def usable(cls, conv: nn.Module) -> bool:
        """Whether a layer can be replaced: a float32 ``nn.Conv3d`` with plain padding, and oneDNN is there."""
        return (
            type(conv) is nn.Conv3d
            and conv.weight.dtype == torch.float32
            and conv.weight.device.type == "cpu"
            and conv.padding_mode == "zeros"
            and not isinstance(conv.padding, str)
            and torch.backends.mkldnn.is_available()
            and torch.backends.mkldnn.enabled
        )

    @classmethod
    def from_conv(cls, conv: nn.Conv3d) -> OneDNNConv3d:
        """A layer that shares the parameters of ``conv``."""
        layer = cls.__new__(cls)
        layer.__dict__.update(conv.__dict__)
        return layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.mkldnn_convolution(
            x, self.weight, self.bias, self.padding, self.stride, self.dilation, self.groups
        )


def keep_on_onednn(graph: torch.fx.GraphModule) -> torch.fx.GraphModule:
    """Replace the convolutions of ``graph``, in place, where :meth:`OneDNNConv3d.usable`."""
    for name, layer in list(graph.named_modules()):
        if OneDNNConv3d.usable(layer):
            graph.set_submodule(name, OneDNNConv3d.from_conv(layer))
    return graph
