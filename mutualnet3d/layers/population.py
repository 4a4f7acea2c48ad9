"""Population statistics from batch statistics, by exact pooling."""

from __future__ import annotations

from typing import Any

import torch


class PopulationStatistics:
    """Mean and unbiased variance of all samples of all batches together, from each batch's own.

    Batches are merged by their sums of squared deviations (Chan, Golub and LeVeque, 1979) in float64, so neither the
    order nor uneven sizes matter. The variance is pooled: the spread of the batch means counts, which a mean of
    batch variances (a running momentum) would miss.

    Attributes:
        count: samples per channel.
        mean: float64 (C,); None before the first batch.
        deviations: float64 (C,), sum of the squared distances from the mean.
    """

    def __init__(self, count: int = 0, mean: torch.Tensor | None = None, deviations: torch.Tensor | None = None):
        self.count = count
        self.mean: Any = mean  # a tensor wherever count is not 0
        self.deviations: Any = deviations

    def add(self, mean: torch.Tensor, var: torch.Tensor, count: int) -> None:
        """Merge a batch: ``mean`` and unbiased ``var`` of shape (C,) over ``count`` samples per channel."""
        self.merge(PopulationStatistics(count, mean.double(), var.double() * (count - 1)))

    def merge(self, other: PopulationStatistics) -> None:
        """Merge the samples that ``other`` has seen, for example in another process."""
        if not other.count:
            return
        if not self.count:
            self.count, self.mean, self.deviations = other.count, other.mean, other.deviations
            return
        total = self.count + other.count
        delta = other.mean - self.mean
        self.mean = self.mean + delta * (other.count / total)
        self.deviations = self.deviations + other.deviations + delta.square() * (self.count * other.count / total)
        self.count = total

    def cpu(self) -> PopulationStatistics:
        """A copy on the CPU, which can travel to another process."""
        if not self.count:
            return PopulationStatistics()
        return PopulationStatistics(self.count, self.mean.cpu(), self.deviations.cpu())

    @property
    def var(self) -> torch.Tensor:
        """Unbiased variance of all samples, float64 of shape (C,)."""
        if self.mean is None or self.count < 2:
            raise ValueError(f"a variance needs at least 2 samples per channel, got {self.count}")
        return self.deviations / (self.count - 1)
