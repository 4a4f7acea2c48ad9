"""Expected multiply-adds of a mutual step's forward passes: by the paper's formula, and counted.

The formula takes the cost of a configuration as full's times w^2 s^2 t, with w, s and t relative to full, and the
expectation over the sampler of :func:`mutualnet3d.configuration.draw_configurations`. Its results are the training
costs that the paper prints (tables III and IV).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from mutualnet3d.configuration import Configuration, ConfigurationSpace
from mutualnet3d.counting import complexities


@dataclass(frozen=True)
class StepCost:
    """Of one training example, in 10^9 multiply-adds.

    Attributes:
        full: of the full configuration, counted.
        formula: of the whole step, by the paper's formula.
        counted: of the whole step, from the counted cost of every resolution at evenly spread widths.
    """

    full: float
    formula: float
    counted: float


def step_cost(model: nn.Module, num_random: int, crop: int | None = None, widths: int = 16) -> StepCost:
    """The expected cost of a mutual step: full, smallest and ``num_random`` random configurations.

    Args:
        model: a network with a ``space``; its weights are neither read nor moved.
        num_random: MUTUALNET.NUM_RANDOM.
        crop: of :func:`mutualnet3d.counting.complexities`; default: training crop.
        widths: how many of the range the mean over the width is taken of, the middles of equal parts.
    """
    space = model.space
    low, high = space.width
    middles = [low + (high - low) * (number + 0.5) / widths for number in range(widths)]
    random = [Configuration(width, *resolution) for width in middles for resolution in _resolutions(space)]
    smallest = _smallest(space)
    gmacs = {c: cost.gmacs for c, cost in complexities(model, {space.full, *smallest, *random}, crop).items()}
    full = gmacs[space.full]
    counted = full + _mean(gmacs[c] for c in smallest) + num_random * _mean(gmacs[c] for c in random)
    return StepCost(full, full * expected_factor(space, num_random), counted)


def expected_factor(space: ConfigurationSpace, num_random: int) -> float:
    """Cost of a mutual step over that of full, by the paper's formula."""
    low, high = (width / space.width[1] for width in space.width)
    squared_width = (low**2 + low * high + high**2) / 3  # mean of w^2 over the range
    random = squared_width * _mean(_share(space, *resolution) for resolution in _resolutions(space))
    smallest = low**2 * _mean(_share(space, c.spatial, c.temporal) for c in _smallest(space))
    return 1 + smallest + num_random * random


def _smallest(space: ConfigurationSpace) -> list[Configuration]:
    """What the smallest configuration of a step may be: images draw its resolution."""
    if space.temporal:
        return [space.smallest]
    return [Configuration(space.width[0], spatial) for spatial in space.spatial]


def _resolutions(space: ConfigurationSpace) -> list[tuple[int, int | None]]:
    return [(spatial, temporal) for spatial in space.spatial for temporal in space.temporal or (None,)]


def _share(space: ConfigurationSpace, spatial: int, temporal: int | None) -> float:
    """s^2 t of a resolution."""
    return (spatial / space.spatial[-1]) ** 2 * (temporal / space.temporal[-1] if space.temporal else 1.0)


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    return sum(values) / len(values)
