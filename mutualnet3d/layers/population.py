"""Population statistics from batch statistics, by exact pooling."""

from __future__ import annotations

import torch


class PopulationStatistics:
    """Mean and unbiased variance of all samples of all batches together, from each batch's own.

    Batches are merged by their sums of squared deviations (Chan, Golub and LeVeque, 1979) in float64, so neither the
    order nor uneven sizes matter. The variance is pooled: the spread of the batch means counts, which a mean of
    batch variances (a running momentum) would miss.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean: torch.Tensor | None = None
        self.deviations: torch.Tensor | None = None

    def add(self, mean: torch.Tensor, var: torch.Tensor, count: int) -> None:
        """Merge a batch: ``mean`` and unbiased ``var`` of shape (C,) over ``count`` samples per channel."""
        mean, deviations = mean.double(), var.double() * (count - 1)
        if self.mean is None:
            self.count, self.mean, self.deviations = count, mean, deviations
            return
        total = self.count + count
        delta = mean - self.mean
        self.mean = self.mean + delta * (count / total)
        self.deviations = self.deviations + deviations + delta.square() * (self.count * count / total)
        self.count = total

    @property
    def var(self) -> torch.Tensor:
        """Unbiased variance of all samples, float64 of shape (C,)."""
        if self.mean is None or self.count < 2:
            raise ValueError(f"a variance needs at least 2 samples per channel, got {self.count}")
        return self.deviations / (self.count - 1)
