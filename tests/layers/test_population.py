"""Pooling against the statistics of all samples at once."""

import pytest
import torch

from mutualnet3d.layers import PopulationStatistics


def of_batches(batches):
    statistics = PopulationStatistics()
    for batch in batches:
        statistics.add(batch.mean(0), batch.var(0), len(batch))
    return statistics


def test_merged_parts_are_the_statistics_of_all_samples():
    torch.manual_seed(0)
    batches = [torch.randn(n, 3, dtype=torch.float64) * n + n for n in (2, 9, 5, 3)]
    total = PopulationStatistics()
    for part in (of_batches(batches[:1]), PopulationStatistics(), of_batches(batches[1:])):
        total.merge(part.cpu())
    samples = torch.cat(batches)
    assert total.count == len(samples)
    torch.testing.assert_close(total.mean, samples.mean(0), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(total.var, samples.var(0), rtol=1e-12, atol=1e-12)


def test_a_part_is_not_changed_by_merging():
    part = of_batches([torch.arange(12.0).view(4, 3)])
    before = part.mean.clone()
    total = PopulationStatistics()
    total.merge(part)
    total.merge(of_batches([torch.ones(2, 3)]))
    assert part.count == 4
    assert torch.equal(part.mean, before)


def test_nothing_has_no_variance():
    with pytest.raises(ValueError, match="at least 2 samples"):
        PopulationStatistics().var  # noqa: B018
