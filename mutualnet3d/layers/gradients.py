"""Gradients of sub-networks, added to the active part of a shared parameter's gradient in place.

Autograd gives a slice of a parameter a gradient of the whole parameter's size, zeros but for the slice, and adds all of
it: for a narrow network on a small clip that is a tenth of the step. Inside :func:`gradients_in_place` the layers have
just the slice added, to the same bits.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import torch

from mutualnet3d.layers.channels import Channels

_in_place: ContextVar[bool] = ContextVar("gradients_in_place", default=False)


@contextlib.contextmanager
def gradients_in_place(enabled: bool = True) -> Iterator[None]:
    """Narrowed convolutions and linear layers that run in the body write their weights' gradients in place.

    It is for ``backward()``, which accumulates in ``.grad``: ``torch.autograd.grad`` does not return these gradients.
    Parameters with hooks keep autograd's way; they are looked for once per graph, in the forward pass.
    DistributedDataParallel's hooks cannot be seen, since they hang on autograd's own accumulation: do not enable this
    for the pass that exchanges gradients. The backward pass may run after the body.
    """
    token = _in_place.set(enabled)
    try:
        yield
    finally:
        _in_place.reset(token)


def narrow_parameter(parameter: torch.Tensor, dims: tuple[Channels, ...], width: float) -> torch.Tensor:
    """The active part of ``parameter`` at ``width``; ``dims``: the channels along its first dimensions."""
    if all(channels.count(width) == channels.size for channels in dims):
        return parameter
    if _in_place.get() and torch.is_grad_enabled() and _is_plain_leaf(parameter):
        return _Narrow.apply(parameter, dims, width)
    return _narrow(parameter, dims, width)


def _is_plain_leaf(parameter: torch.Tensor) -> bool:
    """Whether ``backward()`` does no more with its gradient than to add it: no hook waits for it."""
    hooked = parameter._backward_hooks or parameter._post_accumulate_grad_hooks
    return parameter.is_leaf and parameter.requires_grad and not hooked


def _narrow(tensor: torch.Tensor, dims: tuple[Channels, ...], width: float) -> torch.Tensor:
    for dim, channels in enumerate(dims):
        tensor = channels.narrow(tensor, dim, width)
    return tensor


class _Narrow(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, parameter: torch.Tensor, dims: tuple[Channels, ...], width: float) -> torch.Tensor:
        ctx.parameter, ctx.dims, ctx.width = parameter, dims, width
        return _narrow(parameter, dims, width)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[None, None, None]:
        if ctx.parameter.grad is None:
            ctx.parameter.grad = torch.zeros_like(ctx.parameter)
        _add(ctx.parameter.grad, gradient, ctx.dims, ctx.width)
        return None, None, None


def _add(total: torch.Tensor, part: torch.Tensor, dims: tuple[Channels, ...], width: float, dim: int = 0) -> None:
    """Add ``part`` where :func:`_narrow` took it from ``total``."""
    if dim == len(dims):
        total.add_(part)
        return
    begin = 0
    for start, stop in dims[dim].ranges(width):
        size = stop - start
        _add(total.narrow(dim, start, size), part.narrow(dim, begin, size), dims, width, dim + 1)
        begin += size
