"""The non-local block (arXiv 1711.07971) with PySlowFast's parameters, at any width.

pyslowfast's own forward reshapes by the channels that it was built with; this one reads them from the tensors.
"""

from __future__ import annotations

import torch
from torch import nn


class AdaptiveNonlocal(nn.Module):
    """Children ``conv_theta``, ``conv_phi``, ``conv_g``, ``conv_out``, ``bn`` and, with pooling, ``pool``."""

    def __init__(self, children: dict[str, nn.Module], instantiation: str):
        super().__init__()
        if instantiation not in ("softmax", "dot_product"):
            raise ValueError(f"NONLOCAL.INSTANTIATION {instantiation!r} is not one of 'softmax', 'dot_product'")
        self.instantiation = instantiation
        for name, child in children.items():
            self.add_module(name, child)

    @classmethod
    def from_pyslowfast(cls, block: nn.Module) -> AdaptiveNonlocal:
        """The same block, sharing the layers of pyslowfast's ``Nonlocal`` (with BatchNorm, as its configs build it)."""
        return cls(dict(block.named_children()), block.instantiation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, T, H, W) -> the same shape: x plus attention over all positions."""
        pooled = self.pool(x) if hasattr(self, "pool") else x
        theta = self.conv_theta(x).flatten(2)
        phi = self.conv_phi(pooled).flatten(2)
        g = self.conv_g(pooled).flatten(2)
        affinity = theta.transpose(1, 2) @ phi
        if self.instantiation == "softmax":
            affinity = (affinity * theta.shape[1] ** -0.5).softmax(dim=2)
        else:
            affinity = affinity / affinity.shape[2]
        attended = g @ affinity.transpose(1, 2)
        return x + self.bn(self.conv_out(attended.unflatten(2, x.shape[2:])))
