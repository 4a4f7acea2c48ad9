"""The mutual step: one clip batch, several configurations, one gradient.

The full network learns the labels; the smallest and the random sub-networks learn full's detached prediction (other
methods: ``mutualnet3d.methods``). Backward passes run one after another, so memory is that of one, and their gradients
add up in the shared weights. What all configurations compute alike (SlowFast's Fast pathway) runs forward once and
backward once, with the summed gradient.
Under DistributedDataParallel the gradients travel once, during the last backward pass.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from mutualnet3d.configuration import Configuration
from mutualnet3d.layers import gradients_in_place
from mutualnet3d.training.losses import MutualLoss


def mutual_backward(
    model: nn.Module,
    clip: torch.Tensor,
    labels: torch.Tensor,
    configurations: Sequence[Configuration],
    loss: MutualLoss,
    *,
    boxes: torch.Tensor | None = None,
    distill_weight: float = 1.0,
    learn_labels: bool = False,
    autocast: Callable[[], contextlib.AbstractContextManager] = contextlib.nullcontext,
    scale: Callable[[torch.Tensor], torch.Tensor] = lambda value: value,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Accumulate the gradient of the first loss + ``distill_weight`` x the sum of the sub-networks' losses.

    Args:
        model: a network in training mode with zeroed gradients; possibly wrapped in DistributedDataParallel.
        clip: (N, C, T, H, W) normalised float at full resolution.
        labels: (N,) int64, or (N, K) for several labels, or (R, K) of the boxes.
        configurations: the teacher first, which is full but with other methods, then the sub-networks; one alone is
            plain training.
        learn_labels: sub-networks learn the labels in place of the teacher's prediction.
        boxes: for detection, (R, 5) rows ``[clip index, x1, y1, x2, y2]`` in pixels of the clip.
        autocast: makes the context of the forward passes; losses are computed in float32 outside it.
        scale: applied to every loss before its backward pass (``GradScaler.scale``).

    Returns:
        The unweighted losses (number of configurations,) and the teacher's logits (N, K) or (R, K), both detached.
    """
    wrapper: Any = model
    network: Any = getattr(model, "module", model)
    exchanges = hasattr(model, "no_sync")  # DistributedDataParallel: in the last pass, which hooks on the parameters do
    with autocast():
        shared = network.shared_features(clip) if network.can_share(configurations) else ()
    leaves = tuple(tensor.detach().requires_grad_() for tensor in shared)
    teacher: torch.Tensor | None = None
    values = []
    for i, configuration in enumerate(configurations):
        is_last = i == len(configurations) - 1
        with wrapper.no_sync() if exchanges and not is_last else contextlib.nullcontext():
            with autocast(), gradients_in_place(not (exchanges and is_last)):
                logits = model(clip, configuration, boxes, shared=shared if is_last else leaves)
            if teacher is None:
                teacher = logits.detach()
                value = weighted = loss.supervised(logits, labels)
            else:
                value = loss.supervised(logits, labels) if learn_labels else loss.distilled(logits, teacher)
                weighted = distill_weight * value
            if is_last and i:  # one pass, so that each gradient is exchanged once, when it is complete
                torch.autograd.backward((scale(weighted), *shared), (None, *(leaf.grad for leaf in leaves)))
            else:
                scale(weighted).backward()
        values.append(value.detach())
    if teacher is None:
        raise ValueError("no configurations to train; name at least one")
    return torch.stack(values), teacher
