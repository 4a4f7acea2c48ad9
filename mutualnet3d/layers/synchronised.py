"""Batch statistics over the batches of all processes, with gradients: synchronised BatchNorm of any active width.

torch's own SyncBatchNorm runs on GPUs only and keeps all channels; this one runs wherever torch.distributed does.
"""

from __future__ import annotations

import torch
from torch import distributed as dist
from torch.distributed.nn.functional import all_reduce


def several_processes() -> bool:
    """Whether there are other processes whose batches count."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def pooled_statistics(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Mean and biased variance per channel, float32 (C,), of ``x`` (N, C, ...) of all processes, and how many samples.

    Every process must pass as many samples, as every share of a batch has. The variance is pooled from each process's
    own around the common mean, so nothing cancels. Gradients flow back to every process's ``x``.
    """
    dims = [0, *range(2, x.ndim)]
    var, mean = torch.var_mean(x.float(), dims, correction=0)
    world = dist.get_world_size()
    common = all_reduce(mean) / world
    spread = all_reduce(var + (mean - common).square()) / world
    return common, spread, world * (x.numel() // x.shape[1])


def normalise(
    x: torch.Tensor, mean: torch.Tensor, var: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float
) -> torch.Tensor:
    """``(x - mean) / sqrt(var + eps) * weight + bias`` per channel, in the type of ``x``."""
    scale = weight * torch.rsqrt(var + eps)
    shift = bias - mean * scale
    shape = [1, -1, *[1] * (x.ndim - 2)]
    return torch.addcmul(shift.view(shape), x.float(), scale.view(shape)).to(x.dtype)
