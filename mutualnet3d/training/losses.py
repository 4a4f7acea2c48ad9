"""Losses of the configurations of an iteration: what learns the labels, and what the first one teaches. In float32.

The first configuration, in most methods full, learns the labels; the others its prediction, or the labels too. Single
label: cross-entropy with the label, then the Kullback-Leibler divergence from the first's softmax (equation 2 of the
paper). Several labels: binary cross-entropy with the labels, then with the first's sigmoid probabilities.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F

from mutualnet3d.errors import ConfigError

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class MutualLoss:
    """A pair of losses on logits (N, K), of clips or of boxes, both averaged over them; 0 where there are none.

    Attributes:
        supervised: (logits, labels) -> scalar, for what learns the labels.
        distilled: (sub-network's logits, the first configuration's, detached) -> scalar.
    """

    supervised: Loss
    distilled: Loss


def build_loss(cfg: Any) -> MutualLoss:
    """The losses of MODEL.LOSS_FUNC. All of ours take logits, so ``bce`` is computed as ``bce_logit``.

    SOLVER.LABEL_SMOOTHING acts on the cross-entropy with labels; predictions are learnt as they are.
    """
    if cfg.MODEL.LOSS_FUNC == "cross_entropy":
        smoothed = functools.partial(_cross_entropy, smoothing=cfg.SOLVER.LABEL_SMOOTHING)
        return MutualLoss(smoothed, _kl_divergence)
    if cfg.MODEL.LOSS_FUNC in ("bce", "bce_logit"):
        return MutualLoss(_binary_cross_entropy, _binary_distillation)
    raise ConfigError(f"MODEL.LOSS_FUNC {cfg.MODEL.LOSS_FUNC!r} is not one of cross_entropy, bce, bce_logit")


def _cross_entropy(logits: torch.Tensor, labels: torch.Tensor, smoothing: float = 0.0) -> torch.Tensor:
    return F.cross_entropy(logits.float(), labels, label_smoothing=smoothing)


def _kl_divergence(logits: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    student, target = logits.float().log_softmax(1), teacher.float().log_softmax(1)
    return F.kl_div(student, target, reduction="batchmean", log_target=True)


def _binary_cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    total = F.binary_cross_entropy_with_logits(logits.float(), labels.float(), reduction="sum")
    return total / max(logits.numel(), 1)


def _binary_distillation(logits: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    return _binary_cross_entropy(logits, teacher.float().sigmoid())
