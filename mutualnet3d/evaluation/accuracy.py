"""Top-1 and top-5 accuracy of videos and images."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Accuracy:
    """Percentages over the videos that could be read.

    Attributes:
        top1, top5: per cent; ``top5`` is of the 5 (or all, if fewer) highest scores.
        videos: how many videos were scored.
        missing: how many could not be read; they are not in the percentages.
    """

    top1: float
    top5: float
    videos: int
    missing: int = 0

    def __str__(self) -> str:
        return self.text()

    def text(self, items: str = "videos") -> str:
        """One line for people; ``items``: what was scored."""
        missing = f", {self.missing} {items} missing" if self.missing else ""
        return f"top-1 {self.top1:.2f} %, top-5 {self.top5:.2f} % of {self.videos} {items}{missing}"


def topk_hits(scores: torch.Tensor, labels: torch.Tensor, k: int) -> torch.Tensor:
    """Whether the label (N,) of each row of ``scores`` (N, K) is among the k highest: bool (N,); ``k`` is capped at K.

    A label counts as many ranks down as there are scores above it, and equal scores of lower classes, so a network that
    answers the same everywhere does not count as right; one that answers nan never does.
    """
    own = scores.gather(1, labels[:, None])
    classes = torch.arange(scores.shape[1], device=scores.device)
    ahead = (scores > own) | ((scores == own) & (classes < labels[:, None]))
    return (ahead.sum(1) < k) & ~own[:, 0].isnan()


def topk_accuracy(scores: torch.Tensor, labels: torch.Tensor, k: int) -> float:
    """Per cent of rows of ``scores`` (N, K) whose label (N,) is among the k highest ; nan of none."""
    if len(labels) == 0:
        return float("nan")
    return 100.0 * topk_hits(scores, labels, k).double().mean().item()
